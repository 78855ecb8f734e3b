"""Forgetting attention: a logit loses what the tokens between key and query let be forgotten.

Shapes: B batch, H heads, Q queries, K keys, S tokens, W hidden size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from ctxext.attention.softmax import Softmax
from ctxext.kernels.gather import gather
from ctxext.kernels.norm import at_least_float32
from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, Heads, Mask, Position, Sizes, State, View


@dataclass(frozen=True)
class Forgetting(Attention):
    """Forgetting attention (Lin et al. 2025, 2503.02130): logits plus the sum over t = k + 1 .. q of ln f_t.

    f_t = sigma(w_h . x_t + b_h) for each head of each layer. w begins at 0, and b such that a weight falls to 1/e over
    `horizon` tokens: the longer, the nearer to softmax. The query's own f counts, the key's doesn't.
    """

    horizon: float

    def __post_init__(self) -> None:
        check_types(self, "attention")
        require(self.horizon >= 1, f"attention.horizon must be at least 1 token, got {self.horizon}")

    def grown(self, sizes: Sizes, before: Attention | None) -> Attention:
        return ForgettingPart(self.horizon, sizes)

    def base(self) -> Attention:
        return Softmax()


class ForgettingPart(nn.Module, Attention):
    """What the layers learn."""

    def __init__(self, horizon: float, sizes: Sizes) -> None:
        super().__init__()
        count, width, num_heads = sizes.num_hidden_layers, sizes.hidden_size, sizes.num_attention_heads
        self.layers = nn.ModuleList(ForgettingLayer(horizon, width, num_heads) for _ in range(count))

    def layer(self, index: int, count: int) -> Attention:
        layer: ForgettingLayer = self.layers[index]  # type: ignore[assignment]
        return layer


class ForgettingLayer(nn.Module, Attention):
    """The forget gates of one layer, `f_proj` [H, W] with a bias [H]."""

    def __init__(self, horizon: float, width: int, num_heads: int) -> None:
        super().__init__()
        self.f_proj = nn.Linear(width, num_heads)
        nn.init.zeros_(self.f_proj.weight)
        nn.init.constant_(self.f_proj.bias, -math.log(math.expm1(1 / horizon)))  # ln sigma(b) = -1 / horizon

    def remember(self, x: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(x.device.type, enabled=False):
            logits: Tensor = self.f_proj(at_least_float32(x))
            return (logsigmoid(logits).transpose(1, 2)[..., None],)

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        sums = summed(heads)
        views = tuple(forgetful(view, sums, keys) for view in mask.views())
        return gather(heads.q, heads.k, heads.v, queries, keys, views, position, None)

    def carried(self, mask: Mask) -> tuple[View, ...]:
        return mask.views()

    def carry(
        self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask, state: State
    ) -> tuple[Tensor, State]:
        sums, count = summed(heads), queries.columns.shape[0]
        total = heads.remembered[0][:, :, -count:, 0].double().sum(dim=-1, keepdim=True)
        for before in state:
            total = total + before
        if keys.columns.shape[0] < keys.size:  # between the first tokens and the last there is a gap
            index = torch.arange(keys.columns.shape[0], device=keys.columns.device)
            sums = sums + (total - sums[..., -1:]) * (keys.columns > index)
        views = tuple(forgetful(view, sums, keys) for view in mask.views())
        return gather(heads.q, heads.k, heads.v, queries, keys, views, position, None), (total,)


def summed(heads: Heads) -> Tensor:
    """Return the sum of the logarithms of the gates of `heads` up to each key [B, H, K].

    Double: the difference of two long sums is then the sum of a document alone, to the last bit of a float.
    """
    return heads.remembered[0][..., 0].double().cumsum(dim=-1)


def forgetful(view: View, sums: Tensor, everyone: Places) -> View:
    """Return `view` with what the `sums` [B, H, K] of `everyone` grow from key to query added to its logits."""

    def at(places: Places) -> Tensor:
        if everyone.columns.shape[0] == everyone.size:
            return sums[:, :, places.columns]
        return sums[:, :, torch.searchsorted(everyone.columns, places.columns)]

    def weigh(queries: Places, keys: Places) -> Tensor:
        between = (at(queries)[..., None] - at(keys)[:, :, None]).float()
        return between if view.weigh is None else between + view.weigh(queries, keys)

    return replace(view, weigh=weigh)
