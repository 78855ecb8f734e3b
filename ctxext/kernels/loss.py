"""The loss fused with the unembedding: full logits [N, V] are never made.

Shapes: N rows (tokens), W model width, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 1024
"""Rows whose logits are held at once."""


def fused_loss(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the mean over counted rows of -log P(target), differentiable in `hidden`, `weight` and `bias`.

    `hidden` [N, W], `weight` [V, W], `bias` [V] or None, `targets` [N] ids, `weights` [N]: how much a row counts, not
    all 0. The gradient at the logits is (P - onehot(target)) x weight / sum of weights, made in the forward pass.
    """
    loss: Tensor = FusedLoss.apply(hidden, weight, bias, targets, weights)  # type: ignore[no-untyped-call]
    return loss


class FusedLoss(torch.autograd.Function):
    """Three products a chunk (logits, two gradients) and nothing computed twice."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, weights: Tensor
    ) -> Tensor:
        share = weights.float() / weights.float().sum()
        grad_hidden, grad_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        grad_bias = None if bias is None else torch.zeros_like(bias)
        loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
        for start in range(0, hidden.shape[0], CHUNK):
            rows = slice(start, start + CHUNK)
            logits = project(hidden[rows], weight, bias)
            picked = targets[rows, None]
            logits -= logits.amax(dim=-1, keepdim=True)
            at_target = logits.gather(1, picked)[:, 0]
            total = logits.exp_().sum(dim=-1)
            loss += ((total.log() - at_target) * share[rows]).sum()
            # In place, the exponentials become (P - onehot) x share.
            logits *= (share[rows] / total)[:, None]
            logits.scatter_add_(1, picked, -share[rows, None])
            gradient = logits.to(hidden.dtype)
            torch.mm(gradient, weight.to(hidden.dtype), out=grad_hidden[rows])
            grad_weight += gradient.T @ hidden[rows]
            if grad_bias is not None:
                grad_bias += logits.sum(dim=0)
        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (*(None if kept is None else kept * gradient for kept in ctx.saved_tensors), None, None)


def project(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the logits [n, V] of the rows `hidden` [n, W] in float32."""
    logits = hidden @ weight.to(hidden.dtype).T
    return logits.float() if bias is None else logits.float() + bias.float()


@torch.no_grad()
def token_scores(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return -log P(target) in nats [N], float32, and whether the target is likeliest (of equals, the lowest id)."""
    nll, hit = [], []
    for start in range(0, hidden.shape[0], CHUNK):
        rows = slice(start, start + CHUNK)
        logits = project(hidden[rows], weight, bias)
        at_target = logits.gather(1, targets[rows, None])[:, 0]
        nll.append(logits.logsumexp(dim=-1) - at_target)
        # Of equal maxima, torch promises no order: count the lower ids that reach the target's logit.
        ids = torch.arange(weight.shape[0], device=logits.device)
        reached = (logits > at_target[:, None]) | ((logits == at_target[:, None]) & (ids[None] < targets[rows, None]))
        hit.append(~reached.any(dim=-1))
    return torch.cat(nll), torch.cat(hit)
