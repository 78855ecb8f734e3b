"""The fused loss, held against the plain one.

Shapes: N rows (tokens), W model width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ctxext.kernels.loss import CHUNK, Unembedding, fused_loss
from ctxext.proving.finding import Finding
from ctxext.proving.specimen import Specimen, difference

LOGITS = 2**23
"""How many logits are made at once at most."""
EXACT = 1e-4
"""The largest difference of value and gradients over their root mean square; rounding alone gives 1e-6."""


def loss(specimen: Specimen) -> Finding:
    """Return whether the fused loss has the value and the gradients of torch's cross entropy, with weighted targets.

    There are rows enough for two chunks, unless the vocabulary is very large; a third of the targets has weight 0.
    """
    weight, bias, cap = specimen.network.unembedding
    weight, bias = weight.detach().float(), None if bias is None else bias.detach().float()
    rows = max(min(CHUNK + 8, LOGITS // weight.shape[0]), 16)
    draw = torch.Generator().manual_seed(4)
    hidden = torch.randn(rows, weight.shape[1], generator=draw).to(weight)
    targets = torch.randint(weight.shape[0], (rows,), generator=draw).to(weight.device)
    shares = torch.arange(rows, device=weight.device) % 3 / 2
    inputs = [part.requires_grad_() for part in (hidden, weight, bias) if part is not None]
    unembedding = Unembedding(weight, bias, cap)
    fused = fused_loss(hidden, unembedding, targets, shares)
    plain = plain_loss(hidden, unembedding, targets, shares)
    found, expected = (torch.autograd.grad(value, inputs) for value in (fused, plain))
    apart = max(map(difference, (fused.detach(), *found), (plain.detach(), *expected)))
    told = f"over {rows} rows, a third of weight 0"
    words = (
        "value and gradients are those of the plain loss" if apart <= EXACT else "it is another loss than the plain one"
    )
    return Finding("loss", apart <= EXACT, apart, f"{words}, {told}")


def plain_loss(hidden: Tensor, unembedding: Unembedding, targets: Tensor, shares: Tensor) -> Tensor:
    """Return the mean of -log P(target) over rows `hidden` [N, W], weighted by `shares` [N], from whole logits."""
    weight, bias, cap = unembedding
    logits = hidden @ weight.T if bias is None else hidden @ weight.T + bias
    if cap > 0:
        logits = cap * torch.tanh(logits / cap)
    losses: Tensor = cross_entropy(logits, targets, reduction="none") * shares
    return losses.sum() / shares.sum()
