"""How long a step of training takes: foretold from a short text, by the operations that are needed.

Shapes: B rows, S tokens.
"""

import time
from typing import Any

import torch

from ctxext.data.rows import Batch
from ctxext.kernels.loss import token_scores
from ctxext.model.cost import flops_per_token
from ctxext.training.optimiser import autocast, compute_dtype
from ctxext.training.settings import Trainer

TRIED = 2048
"""Tokens of the text that is read, at most."""
PASSES, PASSES_RECOMPUTING = 3, 4
"""How many forward passes a step's operations are worth."""


def step_seconds(network: Any, batch: Batch, settings: Trainer) -> float:
    """Return about how many seconds a step of `network` on `batch` takes, as its blocks are written.

    The beginning of one row is read twice, and the second time counts; longer rows take as much longer as they need
    more operations.
    """
    some = batch.each(lambda tensor: tensor[:1, :TRIED])
    was_training, count = network.training, some.tokens.shape[1]
    network.train()  # a mechanism may have a form for it
    try:
        for _ in range(2):
            seconds = read(network, some, settings)
    finally:
        network.train(was_training)
    each = seconds / (count * flops_per_token(network, count))
    passes = PASSES_RECOMPUTING if settings.gradient_checkpointing else PASSES
    return passes * each * batch.tokens.numel() * flops_per_token(network, batch.tokens.shape[1])


@torch.no_grad()
def read(network: Any, some: Batch, settings: Trainer) -> float:
    """Return the seconds that reading `some` rows takes, up to how likely their targets are."""
    device, started = some.tokens.device, time.perf_counter()
    dtype = compute_dtype(settings.precision, device)
    with autocast(dtype, device):
        hidden = network.hidden(some.tokens, some.positions, some.documents).to(dtype)
    nll, _ = token_scores(hidden.flatten(0, 1), network.unembedding, some.targets.flatten())
    nll.sum().item()  # what a device is still busy with counts as well
    return time.perf_counter() - started
