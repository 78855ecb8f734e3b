"""Retention: products that decay with the distance, without a softmax.

Shapes: B batch, H heads, Q queries, K keys, D head width, W hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, silu

from ctxext.kernels import linear
from ctxext.kernels.fused import spread
from ctxext.kernels.norm import at_least_float32
from ctxext.kernels.product import Linear
from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, Heads, Mask, Position, Sizes, State, View, Work


@dataclass(frozen=True)
class Retention(Attention):
    """Multi-scale retention (Sun et al. 2023, 2307.08621, equation 8): (q . k) gamma_h^distance, normed and gated.

    gamma_h = 1 - 2^(-5 - h), the distance is counted in tokens, the position turns queries and keys, each head's output
    is normalised to mean 0 and variance 1 (`epsilon` is added to the variance) and multiplied by a learned swish gate.
    All before in the document is seen.
    """

    epsilon: float

    def __post_init__(self) -> None:
        check_types(self, "attention")
        require(self.epsilon > 0, f"attention.epsilon must be above 0, got {self.epsilon}")

    def grown(self, sizes: Sizes, before: Attention | None) -> Attention:
        return RetentionPart(self.epsilon, sizes)


class RetentionPart(nn.Module, Attention):
    """What the layers learn."""

    def __init__(self, epsilon: float, sizes: Sizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(RetentionLayer(epsilon, sizes) for _ in range(sizes.num_hidden_layers))

    def layer(self, index: int, count: int) -> Attention:
        layer: RetentionLayer = self.layers[index]  # type: ignore[assignment]
        return layer


class RetentionLayer(nn.Module, Attention):
    """The gate of one layer, `g_proj` [H D, W]."""

    def __init__(self, epsilon: float, sizes: Sizes) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.g_proj = Linear(sizes.hidden_size, sizes.num_attention_heads * sizes.head_dim, bias=False)

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        with torch.autocast(heads.q.device.type, enabled=False):
            q, k, v = turned(heads, queries, keys, position)
            retained = linear.gather(q, k, v, log_decays_on(q.device, q.dtype, q.shape[1]), keys.documents)
        return self.gated(retained, heads)

    def carried(self, mask: Mask) -> tuple[View, ...]:
        return ()

    def carry(
        self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask, state: State
    ) -> tuple[Tensor, State]:
        with torch.autocast(heads.q.device.type, enabled=False):
            q, k, v = turned(heads, queries, keys, position)
            (sums,) = state or (linear.nothing(k, v),)
            retained, sums = linear.carried(q, k, v, log_decays_on(q.device, q.dtype, q.shape[1]), sums)
        return self.gated(retained, heads), (sums,)

    def gated(self, retained: Tensor, heads: Heads) -> Tensor:
        """Return what is `retained` [B, H, Q, D] normed, and times the gate of the states of `heads`."""
        num_heads, width = retained.shape[1], retained.shape[-1]
        with torch.autocast(retained.device.type, enabled=False):
            normal = layer_norm(retained, (width,), eps=self.epsilon)
        gates = silu(self.g_proj(heads.x)).view(*heads.x.shape[:2], num_heads, width).transpose(1, 2)
        return (normal * gates).to(heads.v.dtype)

    def work(self, mask: Mask, length: int, width: int) -> Work:
        # A state [D, D] is written and read.
        return Work(tuple((view, 0) for view in mask.views()), by_token=2 * width * width)


def turned(heads: Heads, queries: Places, keys: Places, position: Position) -> tuple[Tensor, Tensor, Tensor]:
    """Return the turned queries [B, H, Q, D], the turned and scaled keys and the values by head, at least float32."""
    q, k, v = (at_least_float32(part) for part in (heads.q, heads.k, heads.v))
    q, k = position.rotate(q, queries), position.rotate_keys(k, keys) * q.shape[-1] ** -0.5
    return q, spread(k, q.shape[1]), spread(v, q.shape[1])


def log_decays(num_heads: int) -> Tensor:
    """Return ln(1 - 2^(-5 - h)) for the heads h [H], double."""
    return torch.log1p(-(2.0 ** (-5 - torch.arange(num_heads, dtype=torch.float64))))


@lru_cache(maxsize=8)
def log_decays_on(device: torch.device, dtype: torch.dtype, num_heads: int) -> Tensor:
    """Return the logarithms [H] on `device` as `dtype`."""
    return log_decays(num_heads).to(device, dtype)
