"""Temperatures: logits times a constant, or times a number that grows with the position.

Shapes: B batch, Q queries.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, View


@dataclass(frozen=True)
class Temperature(Softmax):
    """YaRN's temperature without its frequencies (Peng et al. 2023, 2309.00071): logits times attention_factor^2."""

    attention_factor: float

    def __post_init__(self) -> None:
        check_types(self, "attention")
        require(self.attention_factor > 0, f"attention.attention_factor must be above 0, got {self.attention_factor}")

    def scale(self, queries: Places, keys: Places, views: tuple[View, ...]) -> Tensor:
        return torch.full((1, 1, queries.columns.shape[0]), self.attention_factor**2, device=queries.columns.device)

    def base(self) -> Attention:
        return Softmax()

    def off(self, length: int) -> Attention:
        return replace(self, attention_factor=1.0)


@dataclass(frozen=True)
class Llama4Temperature(Softmax):
    """Llama 4's temperature by position p: logits times 1 + attn_scale ln(1 + floor((p + 1) / floor_scale)).

    It acts on each `interval`-th layer; in Llama 4 these are the layers without rotation.
    """

    floor_scale: int
    attn_scale: float
    interval: int

    def __post_init__(self) -> None:
        check_types(self, "attention")
        require(self.floor_scale >= 1, f"attention.floor_scale must be at least 1 token, got {self.floor_scale}")
        require(self.attn_scale > 0, f"attention.attn_scale must be above 0, got {self.attn_scale}")
        require(self.interval >= 1, f"attention.interval must be at least 1 layer, got {self.interval}")

    def scale(self, queries: Places, keys: Places, views: tuple[View, ...]) -> Tensor:
        return rising(queries.positions + 1, self.floor_scale, self.attn_scale)

    def layer(self, index: int, count: int) -> Attention:
        return Softmax() if (index + 1) % self.interval else self

    def base(self) -> Attention:
        return Softmax()

    def off(self, length: int) -> Attention:
        return replace(self, floor_scale=length + 1)

    def period(self) -> int:
        return 0


@dataclass(frozen=True)
class Ministral3Temperature(Softmax):
    """Ministral 3's temperature by position p: logits times 1 + beta ln(1 + floor(p / L)) for the trained length L.

    The keys bear Hugging Face's names: beta is `llama_4_scaling_beta`, L `original_max_position_embeddings`.
    """

    original_max_position_embeddings: int
    llama_4_scaling_beta: float

    def __post_init__(self) -> None:
        check_types(self, "attention")
        length, beta = self.original_max_position_embeddings, self.llama_4_scaling_beta
        require(length >= 1, f"attention.original_max_position_embeddings must be at least 1 token, got {length}")
        require(beta > 0, f"attention.llama_4_scaling_beta must be above 0, got {beta}")

    def scale(self, queries: Places, keys: Places, views: tuple[View, ...]) -> Tensor:
        return rising(queries.positions, self.original_max_position_embeddings, self.llama_4_scaling_beta)

    def base(self) -> Attention:
        return Softmax()

    def off(self, length: int) -> Attention:
        return replace(self, original_max_position_embeddings=max(length, 1))

    def period(self) -> int:
        return 0


def rising(positions: Tensor, step: int, rate: float) -> Tensor:
    """Return 1 + rate x ln(1 + floor(positions / step)) [B, 1, Q], exactly 1 below the first step."""
    return (1 + rate * (positions.double() / step).floor().log1p()).float()[:, None]
