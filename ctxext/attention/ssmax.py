"""Scalable-Softmax: logits that grow with the logarithm of how many keys are visible, by a learned rate for each head.

Shapes: B batch, H heads, Q queries, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctxext.attention.softmax import Softmax
from ctxext.kernels.gather import gather, visible_keys
from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, Heads, Mask, Position, Sizes, View

BIASES = ("none", "learned")


@dataclass(frozen=True)
class Ssmax(Attention):
    """Scalable-Softmax (Nakanishi 2025, 2501.19399): logits times s ln n + b for n visible keys.

    Each head of each layer learns its s from `initial_scale` on, and with bias `learned` its b from 0 on. 1 over the
    mean of ln n up to the trained length starts near softmax.
    """

    initial_scale: float
    bias: str

    def __post_init__(self) -> None:
        check_types(self, "attention")
        require(self.initial_scale > 0, f"attention.initial_scale must be above 0, got {self.initial_scale}")
        require(self.bias in BIASES, f"attention.bias must be {' or '.join(BIASES)}, got {self.bias!r}")

    def grown(self, sizes: Sizes, before: Attention | None) -> Attention:
        return SsmaxPart(self, sizes.num_hidden_layers, sizes.num_attention_heads)

    def base(self) -> Attention:
        return Softmax()


class SsmaxPart(nn.Module, Attention):
    """What the layers learn."""

    def __init__(self, settings: Ssmax, num_layers: int, num_heads: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(SsmaxLayer(settings, num_heads) for _ in range(num_layers))

    def layer(self, index: int, count: int) -> Attention:
        layer: SsmaxLayer = self.layers[index]  # type: ignore[assignment]
        return layer


class SsmaxLayer(nn.Module, Attention):
    """What the heads of one layer learn: `scale` [H], and perhaps `bias` [H]."""

    def __init__(self, settings: Ssmax, num_heads: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((num_heads,), float(settings.initial_scale)))
        self.bias = nn.Parameter(torch.zeros(num_heads)) if settings.bias == "learned" else None

    def scored(self, mask: Mask) -> tuple[View, ...]:
        return mask.views()

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        views = mask.views()
        scale = self.scale[:, None] * visible_keys(queries, keys, views).float().log()
        if self.bias is not None:
            scale = scale + self.bias[:, None]
        return gather(heads.q, heads.k, heads.v, queries, keys, views, position, scale)
