"""Which part of a step's batch is this process's.

Shapes: B rows, S tokens.
"""

from dataclasses import replace

from ctxext.data.rows import Batch
from ctxext.parallel.headtail import HeadTail, head_tail
from ctxext.parallel.mesh import Mesh


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
