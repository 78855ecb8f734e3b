"""Softmax over one tile of pairs, with the logarithm of each query's total weight, by which tiles are put together.

Shapes: B batch, H heads, G key-value heads, Q queries, K keys, D head width.

torch keeps its fused pair of functions private: where they are missing or have changed, and for what they can't take,
a plain form stands in.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ctxext.kernels.operators import operator

BLOCK = 256
"""Queries whose scores the plain form makes at once."""
OPERATOR = "_scaled_dot_product_flash_attention_for_cpu"
FORWARD = "query, key, value, dropout_p, is_causal, attn_mask, scale"
BACKWARD = "grad_out, query, key, value, out, logsumexp, dropout_p, is_causal, attn_mask, scale"
TYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


class Pairs(NamedTuple):
    """Which pairs count, and how: `scale` times the products of heads and `mask` [1 or B, 1 or H, Q, K] are the logits.

    If they are `is_causal`, query i sees the keys up to i.
    """

    is_causal: bool
    mask: Tensor | None
    scale: float


FUSED_FORWARD = operator("aten", OPERATOR, FORWARD)
FUSED_BACKWARD = operator("aten", f"{OPERATOR}_backward", BACKWARD)


def is_fused(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Return whether torch's fused functions are there and take these heads."""
    alike = q.dtype == k.dtype == v.dtype and q.dtype in TYPES and q.shape[-1] == v.shape[-1]
    return FUSED_FORWARD is not None and FUSED_BACKWARD is not None and alike and q.device.type == "cpu"


def forward(q: Tensor, k: Tensor, v: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Return the outputs [B, H, Q, D] and the logarithm of the total weight of each query [B, H, Q].

    `q` is [B, H, Q, D], `k` and `v` [B, G, K, D]. Of a query that sees nothing, the output is 0 and the logarithm
    undefined.
    """
    if not is_fused(q, k, v):
        return plain_forward(q, k, v, pairs)
    assert FUSED_FORWARD is not None
    outputs, totals = FUSED_FORWARD(q, k, v, 0.0, pairs.is_causal, attn_mask=pairs.mask, scale=pairs.scale)
    return outputs, totals


def backward(
    gradient: Tensor, q: Tensor, k: Tensor, v: Tensor, outputs: Tensor, totals: Tensor, pairs: Pairs
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of `q`, `k` and `v` where that of the `outputs` [B, H, Q, D] is `gradient`.

    `outputs` and `totals` may be those of more keys than these; then this is the share of these.
    """
    if not is_fused(q, k, v):
        return plain_backward(gradient, q, k, v, outputs, totals, pairs)
    assert FUSED_BACKWARD is not None
    is_causal, mask, scale = pairs
    of_q, of_k, of_v = FUSED_BACKWARD(gradient, q, k, v, outputs, totals, 0.0, is_causal, attn_mask=mask, scale=scale)
    return of_q, of_k, of_v


def plain_forward(q: Tensor, k: Tensor, v: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Return what `forward` returns, by products, a block of queries at once."""
    pieces = []
    for start in range(0, q.shape[2], BLOCK):
        logits = block_logits(q, k, start, pairs)
        totals = logits.logsumexp(dim=-1)
        pieces.append((weights_of(logits, totals).to(v.dtype) @ spread(v, q.shape[1]), totals))
    outputs, logarithms = zip(*pieces, strict=True)
    return torch.cat(outputs, dim=2), torch.cat(logarithms, dim=2)


def plain_backward(
    gradient: Tensor, q: Tensor, k: Tensor, v: Tensor, outputs: Tensor, totals: Tensor, pairs: Pairs
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what `backward` returns, by products, a block of queries at once."""
    num_heads, (rows, groups) = q.shape[1], k.shape[:2]
    of_q, of_k, of_v = torch.zeros_like(q), *(torch.zeros_like(spread(part, num_heads)) for part in (k, v))
    for start in range(0, q.shape[2], BLOCK):
        here = slice(start, start + BLOCK)
        weights = weights_of(block_logits(q, k, start, pairs), totals[:, :, here]).to(v.dtype)
        towards = gradient[:, :, here]
        through = towards @ spread(v, num_heads).transpose(-1, -2)
        common = (towards * outputs[:, :, here]).sum(dim=-1, keepdim=True)
        of_logits = (weights * (through - common) * pairs.scale).to(q.dtype)
        of_q[:, :, here] = of_logits @ spread(k, num_heads)
        of_k += of_logits.transpose(-1, -2) @ q[:, :, here]
        of_v += weights.transpose(-1, -2) @ towards
    of_k, of_v = (part.reshape(rows, groups, -1, *part.shape[2:]).sum(dim=2) for part in (of_k, of_v))
    return of_q, of_k, of_v


def block_logits(q: Tensor, k: Tensor, start: int, pairs: Pairs) -> Tensor:
    """Return the logits [B, H, BLOCK, K] of the queries from `start` on, at least in float32."""
    here = slice(start, start + BLOCK)
    logits: Tensor = q[:, :, here] @ spread(k, q.shape[1]).transpose(-1, -2) * pairs.scale
    if q.dtype != torch.float64:
        logits = logits.float()
    if pairs.is_causal:
        columns = torch.arange(k.shape[2], device=q.device)
        rows = torch.arange(start, start + logits.shape[2], device=q.device)
        logits = logits.masked_fill(columns > rows[:, None], float("-inf"))
    return logits if pairs.mask is None else logits + pairs.mask[:, :, here]


def weights_of(logits: Tensor, totals: Tensor) -> Tensor:
    """Return the weights of `logits` [B, H, Q, K] whose `totals` [B, H, Q] are known; 0 where there is nothing."""
    return (logits - totals.masked_fill(totals.isneginf(), 0.0)[..., None]).exp()


def spread(heads: Tensor, num_heads: int) -> Tensor:
    """Return the key-value `heads` [B, G, K, D] repeated for the heads that share them [B, H, K, D]."""
    return heads.repeat_interleave(num_heads // heads.shape[1], dim=1)
