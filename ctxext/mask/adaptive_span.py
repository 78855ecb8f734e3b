"""A span for each head, learned.

Shapes: H heads, Q queries, K keys.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places, distances
from ctxext.refusal import check_types, require
from ctxext.seams import Mask, Reach, Sizes, View


@dataclass(frozen=True)
class AdaptiveSpan(Mask):
    """Adaptive span (Sukhbaatar et al. 2019, 1905.07799): weights times m = clip((ramp + u - distance) / ramp, 0, 1).

    Each head of each layer learns its span u between 0 and `max_span` tokens, from `initial_span` on. A token of mean
    span in a layer adds `coefficient` to the loss, so that heads see no farther than it pays.
    """

    max_span: int
    initial_span: int
    ramp: int
    coefficient: float

    def __post_init__(self) -> None:
        check_types(self, "mask")
        require(self.max_span >= 1, f"mask.max_span must be at least 1 token, got {self.max_span}")
        first, most = self.initial_span, self.max_span
        require(0 <= first <= most, f"mask.initial_span must be from 0 to mask.max_span={most}, got {first}")
        require(self.ramp >= 1, f"mask.ramp must be at least 1 token, got {self.ramp}")
        require(self.coefficient >= 0, f"mask.coefficient must be at least 0, got {self.coefficient}")

    def views(self) -> tuple[View, ...]:
        return SpansOfLayer(self, 1).views()

    def grown(self, sizes: Sizes, before: Mask | None) -> Mask:
        return AdaptiveSpanPart(self, sizes)

    def base(self) -> Mask:
        return IntraDocument()

    def off(self, length: int) -> Mask:
        return replace(self, max_span=length, initial_span=length)


class AdaptiveSpanPart(nn.Module, Mask):
    """The spans of all layers."""

    def __init__(self, settings: AdaptiveSpan, sizes: Sizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            SpansOfLayer(settings, sizes.num_attention_heads) for _ in range(sizes.num_hidden_layers)
        )

    def layer(self, index: int, count: int) -> Mask:
        return self.layers[index]  # type: ignore[return-value]

    def penalty(self) -> Tensor:
        return torch.stack([layer.penalty() for layer in self.layers]).sum()  # type: ignore[operator]

    def settle(self) -> None:
        for layer in self.layers:
            layer.settle()  # type: ignore[operator]


class SpansOfLayer(nn.Module, Mask):
    """The spans of the heads of one layer, learned as `shares` [H] of the largest."""

    def __init__(self, settings: AdaptiveSpan, num_heads: int) -> None:
        super().__init__()
        self.settings = settings
        self.shares = nn.Parameter(torch.full((num_heads,), settings.initial_span / settings.max_span))

    def views(self) -> tuple[View, ...]:
        spans = self.spans()
        # Where every head still gives full weight nothing is added: spans that hold the whole text change no bit.
        # A reach is made of numbers, and what is learned has to be fetched for it, in one piece.
        least, most = map(float, torch.stack(spans.detach().aminmax()).tolist())
        whole, size = math.floor(least) + 1, math.ceil(most) + self.settings.ramp

        def left(queries: Places, keys: Places) -> Tensor:
            return spans[:, None, None] + self.settings.ramp - distances(queries, keys)

        def visible(queries: Places, keys: Places) -> Tensor:
            return (left(queries, keys) > 0) & (distances(queries, keys) >= whole)

        def weigh(queries: Places, keys: Places) -> Tensor:
            # Not below the least normal number: ln 0 would make the gradient of what isn't seen a NaN.
            return (left(queries, keys) / self.settings.ramp).clamp(torch.finfo(torch.float32).tiny, 1).log()

        return (*SlidingWindow(whole).views(), View(visible, Reach("band", size, beyond=whole), weigh=weigh))

    def spans(self) -> Tensor:
        """Return the span of each head in tokens [H]; at 0 and at the largest it still has a gradient."""
        return self.shares.clamp(0, 1) * self.settings.max_span

    def penalty(self) -> Tensor:
        return self.settings.coefficient * self.spans().mean()

    @torch.no_grad()
    def settle(self) -> None:
        # Beyond an end the clamp has no gradient: a head whose span once overshot would keep it for ever.
        self.shares.clamp_(0, 1)
