"""The memory that training takes: predicted before the first step, from what a block keeps.

Shapes: B rows, S tokens, V vocabulary, W hidden size.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ctxext.data.rows import Batch
from ctxext.kernels.loss import chunk_rows
from ctxext.model import cost
from ctxext.model.resident import give_back, held
from ctxext.training.optimiser import autocast, compute_dtype
from ctxext.training.settings import WITHOUT, Trainer

MEASURED = 8192
"""Tokens that are read at most to see what a block keeps; of a part with more, the rest is taken to keep as much."""
SCATTERED, SCATTERED_BY_ADAPTERS = 0.4, 1.0
"""How much of what is kept gaps take beside it, where freed tensors are kept for the next: 0.15 to 0.46, and 1.1."""
FIRST_STEP = 40_000_000
"""Bytes that the libraries' code and buffers take from the first step on, on a CPU: 20 and 80 MB on two processors."""


class Load(NamedTuple):
    """Bytes at one moment of a step: `activations` kept for the backward pass, `gradients`, and what the `loss` takes.

    What AdamW keeps is there at each.
    """

    moment: str
    activations: int
    gradients: int
    loss: int

    @property
    def total(self) -> int:
        """All of them, in bytes."""
        return self.activations + self.gradients + self.loss


@dataclass(frozen=True)
class Forecast:
    """Bytes at the peak of a step: `held` before it, by the whole process or on the device, and what training adds.

    `adamw`: its two moments of what is trained; `load`: of the moment that takes most; `slack`: what libraries and
    gaps between tensors take.
    """

    held: int
    adamw: int
    load: Load
    slack: int

    @property
    def added(self) -> int:
        """What training adds, in bytes."""
        return self.adamw + self.load.total + self.slack

    @property
    def peak(self) -> int:
        """The largest memory, in bytes."""
        return self.held + self.added


def forecast(network: Any, batch: Batch, settings: Trainer) -> Forecast:
    """Return the memory of training `network` by `settings` on `batch`, of which a part is read a block at a time."""
    device, dtype = batch.tokens.device, compute_dtype(settings.precision, batch.tokens.device)
    part = next(batch.parts(settings.accumulate))
    kept = kept_of(network, part, dtype)
    gradients = cost.optimiser_bytes(network) // 3
    load = max(loads(network, part, kept, settings, gradients), key=lambda found: found.total)
    give_back()
    slack = 0 if device.type == "cuda" else FIRST_STEP + gaps(kept, settings)
    return Forecast(held(device), 2 * gradients, load, slack)


def kept_of(network: Any, part: Batch, dtype: torch.dtype) -> cost.Kept:
    """Return what reading `part` keeps for the backward pass, by block, from as many of its tokens as are measured."""
    measured = slice(0, max(MEASURED // part.tokens.shape[1], 1)), slice(0, MEASURED)
    some = part.each(lambda tensor: tensor[measured])
    was_training, recomputes = network.training, getattr(network, "gradient_checkpointing", False)
    network.train()
    network.gradient_checkpointing = False  # what a block keeps is seen only while it keeps it
    try:
        with autocast(dtype, part.tokens.device):
            kept = cost.kept_by_block(network, some.tokens, some.positions, some.documents)
    finally:
        network.train(was_training)
        network.gradient_checkpointing = recomputes
    share = part.tokens.numel() / some.tokens.numel()
    return cost.Kept(round(share * kept.outside), [round(share * block) for block in kept.blocks])


def loads(network: Any, part: Batch, kept: cost.Kept, settings: Trainer, gradients: int) -> list[Load]:
    """Return what the moments of a step on `part` take that may be its peak, where blocks keep what `kept` says.

    `gradients` are the bytes of all. They are there from the first part of several on; else they come as what blocks
    keep goes. Within a block its own gradients are half of what it kept, beside that where it was dropped.
    """
    dtype = compute_dtype(settings.precision, part.tokens.device)
    table: Tensor = network.unembedding[0]
    carried = gradients if settings.accumulate > 1 else 0
    inside = max(kept.blocks, default=0) // 2
    held_until, anew = kept.outside + sum(kept.blocks), 0
    if settings.gradient_checkpointing:  # then what enters a block is kept alone
        entering = part.tokens.numel() * table.shape[1] * table.element_size()
        held_until, anew = kept.outside + len(kept.blocks) * entering, 2 * inside
    of_table = table.nbytes if table.requires_grad else 0
    last = kept.blocks[0] if kept.blocks else 0
    return [
        Load("the loss", held_until, carried, loss_bytes(table, part.tokens.numel(), dtype)),
        Load("the last block's gradients", held_until + anew + inside, max(carried, of_table), 0),
        Load("the first block's gradients", kept.outside + last + inside, gradients, 0),
    ]


def gaps(kept: cost.Kept, settings: Trainer) -> int:
    """Return the bytes that gaps between tensors take, beside what blocks have `kept`."""
    if settings.gradient_checkpointing:  # then freed tensors go back to the system (ctxext/training/allocator.py)
        return 0
    share = SCATTERED if settings.adapter == WITHOUT else SCATTERED_BY_ADAPTERS
    return int(share * (kept.outside + sum(kept.blocks)))


def loss_bytes(weight: Tensor, tokens: int, dtype: torch.dtype) -> int:
    """Return the bytes that the fused loss takes for `tokens` whose unembedding is `weight` [V, W].

    A chunk's logits, the gradients at the states, and where the weight is trained two of its size.
    """
    rows = min(tokens, chunk_rows(weight.shape[0]))
    logits = rows * weight.shape[0] * (4 if dtype == torch.float32 else 4 + 2 * dtype.itemsize)
    states = 2 * tokens * weight.shape[1] * dtype.itemsize
    return logits + states + (2 * weight.nbytes if weight.requires_grad else 0)
