"""The memory that training takes: predicted before the first step, from what a block keeps.

Shapes: B rows, S tokens, V vocabulary, W hidden size.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ctxext.data.rows import Batch
from ctxext.kernels.loss import chunk_rows
from ctxext.model import cost
from ctxext.model.resident import held
from ctxext.training.optimiser import autocast, compute_dtype
from ctxext.training.settings import Trainer

FIRST_STEP = 80_000_000
"""Bytes that the first step takes whatever the network: code, threads and buffers of the libraries."""
SCATTERED = 2
"""Where freed tensors are kept for the next, gaps take at most a part in so many: 6 to 49 % were measured."""


@dataclass(frozen=True)
class Forecast:
    """Bytes at the peak of a step: `held` before it, by the whole process or on the device, and what training adds.

    `optimiser`: gradients and moments of what is trained; `activations`: what the forward pass keeps for the backward
    one, and what a block's gradients take on the way; `loss`: logits of a chunk, and gradients at the unembedding;
    `slack`: what libraries and gaps between tensors take.
    """

    held: int
    optimiser: int
    activations: int
    loss: int
    slack: int

    @property
    def peak(self) -> int:
        """The largest memory, in bytes."""
        return self.held + self.optimiser + self.activations + self.loss + self.slack


def forecast(network: Any, batch: Batch, settings: Trainer) -> Forecast:
    """Return the memory of training `network` by `settings` on `batch`, whose first part is read a block at a time.

    The parts are added up as if all were largest at once.
    """
    device = batch.tokens.device
    part, dtype = next(batch.parts(settings.accumulate)), compute_dtype(settings.precision, device)
    was_training, recomputes = network.training, getattr(network, "gradient_checkpointing", False)
    network.train()
    network.gradient_checkpointing = False  # what a block keeps is seen only while it keeps it
    try:
        with autocast(dtype, device):
            kept = cost.kept_by_block(network, part.tokens, part.positions, part.documents)
    finally:
        network.train(was_training)
        network.gradient_checkpointing = recomputes
    activations = kept_at_once(kept, part.tokens, network, settings)
    loss = loss_bytes(network.unembedding[0], part.tokens.numel(), dtype)
    gaps = 0 if settings.gradient_checkpointing else (activations + loss) // SCATTERED
    slack = 0 if device.type == "cuda" else FIRST_STEP + gaps
    return Forecast(held(device), cost.optimiser_bytes(network), activations, loss, slack)


def kept_at_once(kept: cost.Kept, tokens: Tensor, network: Any, settings: Trainer) -> int:
    """Return the bytes of activations at the peak, where blocks keep `kept` for `tokens` [B, S].

    Under gradient checkpointing only one block keeps them, the others what enters them. The gradients of a block are
    taken to be as large as what it kept.
    """
    gradients = max(kept.blocks, default=0)
    if not settings.gradient_checkpointing:
        return kept.outside + sum(kept.blocks) + gradients
    table: Tensor = network.embed_tokens.weight
    entering = tokens.numel() * table.shape[1] * table.element_size()
    return kept.outside + len(kept.blocks) * entering + 2 * gradients


def loss_bytes(weight: Tensor, tokens: int, dtype: torch.dtype) -> int:
    """Return the bytes that the fused loss takes for `tokens` whose unembedding is `weight` [V, W].

    A chunk's logits, the gradients at the states, and where the weight is trained two of its size.
    """
    rows = min(tokens, chunk_rows(weight.shape[0]))
    logits = rows * weight.shape[0] * (4 if dtype == torch.float32 else 4 + 2 * dtype.itemsize)
    states = 2 * tokens * weight.shape[1] * dtype.itemsize
    return logits + states + (2 * weight.nbytes if weight.requires_grad else 0)
