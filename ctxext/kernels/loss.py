"""The loss fused with the unembedding: full logits [N, V] are never made.

Shapes: N rows (tokens), W model width, V vocabulary.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ctxext.kernels.norm import at_least_float32

CHUNK = 1024
"""Rows whose logits are held at once."""


class Unembedding(NamedTuple):
    """What turns hidden states into logits: `weight` [V, W], `bias` [V] or None, and `cap`.

    A cap c above 0 bounds the logits: z becomes c tanh(z / c).
    """

    weight: Tensor
    bias: Tensor | None
    cap: float

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits [..., V] of the states `hidden` [..., W] in float32, or wider if these are."""
        logits = at_least_float32(hidden @ self.weight.to(hidden.dtype).T)
        if self.bias is not None:
            logits = logits + self.bias.to(logits.dtype)
        return (logits / self.cap).tanh() * self.cap if self.cap else logits


def fused_loss(hidden: Tensor, unembedding: Unembedding, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the mean over counted rows of -log P(target), differentiable in `hidden` and the `unembedding`.

    `hidden` [N, W], `targets` [N] ids, `weights` [N]: how much a row counts, not all 0. The gradient at the logits is
    (P - onehot(target)) x weight / sum of weights, made in the forward pass.
    """
    loss: Tensor = FusedLoss.apply(hidden, *unembedding, targets, weights)  # type: ignore[no-untyped-call]
    return loss


class FusedLoss(torch.autograd.Function):
    """Three products a chunk (logits, two gradients), two where the weight is frozen; nothing is computed twice."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, cap: float, targets: Tensor, weights: Tensor
    ) -> Tensor:
        unembedding = Unembedding(weight, bias, cap)
        exact = torch.promote_types(hidden.dtype, torch.float32)
        share = weights.to(exact) / weights.to(exact).sum()
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None  # a frozen one needs none
        grad_bias = None if bias is None else torch.zeros_like(bias)
        loss = torch.zeros((), dtype=exact, device=hidden.device)
        for start in range(0, hidden.shape[0], CHUNK):
            rows = slice(start, start + CHUNK)
            logits, picked = unembedding.logits(hidden[rows]), targets[rows, None]
            slope = 1 - (logits / cap).square() if cap else None  # of the hyperbolic tangent
            logits -= logits.amax(dim=-1, keepdim=True)
            at_target = logits.gather(1, picked)[:, 0]
            total = logits.exp_().sum(dim=-1)
            loss += ((total.log() - at_target) * share[rows]).sum()
            # In place, the exponentials become (P - onehot) x share.
            logits *= (share[rows] / total)[:, None]
            logits.scatter_add_(1, picked, -share[rows, None])
            if slope is not None:
                logits *= slope
            gradient = logits.to(hidden.dtype)
            torch.mm(gradient, weight.to(hidden.dtype), out=grad_hidden[rows])
            if grad_weight is not None:
                grad_weight += gradient.T @ hidden[rows]
            if grad_bias is not None:
                grad_bias += logits.sum(dim=0)
        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (*(None if kept is None else kept * gradient for kept in ctx.saved_tensors), None, None, None)


@torch.no_grad()
def token_scores(hidden: Tensor, unembedding: Unembedding, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return -log P(target) in nats [N], float32, and whether the target is likeliest (of equals, the lowest id)."""
    nll, hit = [], []
    for start in range(0, hidden.shape[0], CHUNK):
        rows = slice(start, start + CHUNK)
        logits = unembedding.logits(hidden[rows])
        at_target = logits.gather(1, targets[rows, None])[:, 0]
        nll.append(logits.logsumexp(dim=-1) - at_target)
        # Of equal maxima, torch promises no order: count the lower ids that reach the target's logit.
        ids = torch.arange(logits.shape[1], device=logits.device)
        reached = (logits > at_target[:, None]) | ((logits == at_target[:, None]) & (ids[None] < targets[rows, None]))
        hit.append(~reached.any(dim=-1))
    return torch.cat(nll), torch.cat(hit)
