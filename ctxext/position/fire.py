"""FIRE: a learned function of the distance, as a share of the query's own position.

Shapes: B batch, H heads, Q queries, K keys, M hidden units.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding
from torch.utils.checkpoint import checkpoint

from ctxext.places import Places, gaps
from ctxext.refusal import check_types, require
from ctxext.seams import Position, Sizes

RATE = 0.1
"""The initial c."""
SPARE = 1e-6
"""Added to the normaliser, as in the paper, since the first position's may be 0."""
FAR = 1e4
"""Shares lie between 0 and 1, so that a ReLU that turns beyond this never does."""


@dataclass(frozen=True)
class Fire(Position):
    """FIRE (Li et al. 2023, 2310.04418): z + f_h(ln(1 + c distance) / ln(1 + c max(p_q, m L0))), c and m learned.

    f is an MLP with `hidden_size` ReLUs, and L0 is `normaliser_floor`, below which distances aren't stretched. The
    paper's 512 would be all there is at a trained length of 256. Every layer learns its own f, c and m.
    """

    normaliser_floor: int
    hidden_size: int

    def __post_init__(self) -> None:
        check_types(self, "position")
        for name in ("normaliser_floor", "hidden_size"):
            require(getattr(self, name) > 0, f"position.{name} must be above 0, got {getattr(self, name)}")

    def grown(self, sizes: Sizes, before: Position | None) -> Position:
        return FirePart(self, sizes)

    def period(self) -> int:
        return 0


class FirePart(nn.Module, Position):
    """What the layers learn."""

    def __init__(self, settings: Fire, sizes: Sizes) -> None:
        super().__init__()
        heads = sizes.num_attention_heads
        self.layers = nn.ModuleList(FireLayer(settings, heads) for _ in range(sizes.num_hidden_layers))

    def layer(self, index: int, count: int) -> Position:
        layer: FireLayer = self.layers[index]  # type: ignore[assignment]
        return layer


class FireLayer(nn.Module, Position):
    """What one layer learns: `first` and `last` of f, with M ReLUs between, and c and m as |`rate`| and |`stretch`|.

    Of one number, an MLP of ReLUs is a chain of lines. To look up the line that a pair lies on takes a third of the
    time of M products, and an eighth of the memory.
    """

    def __init__(self, settings: Fire, num_heads: int) -> None:
        super().__init__()
        self.floor = settings.normaliser_floor
        hidden = settings.hidden_size
        self.first, self.last = nn.Linear(1, hidden), nn.Linear(hidden, num_heads)
        self.rate = nn.Parameter(torch.tensor(RATE))
        self.stretch = nn.Parameter(torch.tensor(1.0))

    def bias(self, queries: Places, keys: Places, num_heads: int) -> Tensor:
        if torch.is_grad_enabled():  # what a pair needs for the backward pass would be most of a step's memory
            kept: Tensor = checkpoint(self.function, queries, keys, use_reentrant=False)
            return kept
        return self.function(queries, keys)

    def function(self, queries: Places, keys: Places) -> Tensor:
        """Return f of `queries` and `keys`, float32 [B, H, Q, K]."""
        with torch.autocast(queries.positions.device.type, enabled=False):
            rate = self.rate.float().abs()
            distance = gaps(queries, keys)[:, 0].clamp(min=0).float()
            span = torch.maximum(queries.positions.float(), (self.stretch.float() * self.floor).abs())
            share = torch.log1p(rate * distance) / (torch.log1p(rate * span) + SPARE)[:, :, None]
            turns, lines = self.pieces()
            slope, height = embedding(torch.bucketize(share, turns), lines).chunk(2, dim=-1)
            return torch.addcmul(height, slope, share[..., None]).permute(0, 3, 1, 2)

    def pieces(self) -> tuple[Tensor, Tensor]:
        """Return where f turns [M], rising, and the slopes and heights of the lines between [M + 1, 2 H]."""
        slopes, heights = self.first.weight.float()[:, 0], self.first.bias.float()
        with torch.no_grad():
            turns = (-heights / slopes).nan_to_num().clamp(-FAR, FAR).sort().values
            ends = turns[:1] - 1, turns[-1:] + 1
            inside = torch.cat((ends[0], (turns[1:] + turns[:-1]) / 2, ends[1]))
            is_open = (slopes * inside[:, None] + heights > 0).float()
        weight, bias = self.last.weight.float().T, self.last.bias.float()
        return turns, torch.cat((is_open * slopes @ weight, is_open * heights @ weight + bias), dim=1)
