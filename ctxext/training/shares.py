"""Which part of a step's batch is this process's, and of the weights and AdamW's moments.

Shapes: B rows, S tokens.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from ctxext.data.rows import Batch
from ctxext.parallel.headtail import HeadTail, head_tail
from ctxext.parallel.mesh import Mesh
from ctxext.parallel.sharding import give_back, parted, parted_optimiser
from ctxext.training.checkpoint import parameter_names
from ctxext.training.optimiser import make_optimiser
from ctxext.training.settings import Trainer


@contextmanager
def spread(
    network: Any, optimiser: torch.optim.AdamW, settings: Trainer, mesh: Mesh
) -> Iterator[tuple[Any, torch.optim.AdamW]]:
    """Yield what this process of `mesh` trains of `network`, and with which optimiser: in one process these themselves.

    What was learnt is in `network` at the end of the block.
    """
    training, share = parted(network, mesh), share_of(mesh)
    if training is not network:
        names = parameter_names(network, optimiser)
        optimiser = parted_optimiser(optimiser, make_optimiser(training, settings), names, training)
    if share is not None:
        training.share = share
    try:
        yield training, optimiser
    finally:
        if share is not None:
            training.share = None
    give_back(training, network)


def owned(batch: Batch, mesh: Mesh) -> Batch:
    """Return the rows of `batch` [B, S] that are this process's of `mesh`; targets are those of its part of each."""
    if mesh.size == 1:
        return batch
    rows, share = mesh.rows(len(batch.samples)), share_of(mesh)
    own = replace(batch.each(lambda tensor: tensor[rows]), samples=batch.samples[rows])
    if share is None:
        return own
    return replace(own, targets=share.own(own.targets), weights=share.own(own.weights))


def share_of(mesh: Mesh) -> HeadTail | None:
    """Return what this process of `mesh` has of each of its rows; None where it has all."""
    return head_tail(mesh.group, mesh.part, mesh.settings.context) if mesh.settings.context > 1 else None
