"""Rotary encodings that follow the length of each document: at every length they are a static one.

Shapes: B batch, H heads, S tokens, D head width.

Keys are cached before they are turned, so that all of them turn alike however the text came to be as long as it is.
What was computed from a shorter text, the states below the second layer's keys, stays as it was.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ctxext.maths.amplitude import yarn_attention_factor
from ctxext.places import Places
from ctxext.position.rope import Rope, RopeNtk, Yarn, check_length
from ctxext.refusal import require


class ByLength:
    """Turns each token as the static encoding for the length of its document does."""

    def at(self, length: int) -> Rope:
        """Return the static encoding for documents of `length` tokens."""
        raise TypeError(f"{type(self).__name__} states no encoding for a length")

    def prepare(self, places: Places, like: Tensor) -> None:
        """Compute what the layers share of reading at `places`, where all are of one length."""
        if places.documents is None:
            self.at(places.size).waves(places, like)

    def rotate(self, heads: Tensor, places: Places) -> Tensor:
        """Return `heads` [B, H, S, D] turned to `places`, whose lengths count what is cached too."""
        if places.documents is None:
            return Rope.rotate(self.at(places.size), heads, places)
        lengths: dict[Rope, list[int]] = {}
        # Of a packed row only the device knows the lengths, and encodings are made from numbers.
        for length in torch.unique(places.lengths).tolist():
            lengths.setdefault(self.at(length), []).append(length)
        turned = heads
        for encoding, those in lengths.items():
            here = torch.isin(places.lengths, torch.tensor(those, device=heads.device))[:, None, :, None]
            turned = torch.where(here, Rope.rotate(encoding, heads, places), turned)
        return turned

    def keeps_prefix(self) -> bool:
        """Return that a longer text turns all its tokens otherwise."""
        return False


@dataclass(frozen=True)
class RopeDynamicNtk(ByLength, Rope):
    """Dynamic NTK-aware scaling (emozilla, 2023): NTK-aware scaling by factor T / L - (factor - 1) beyond L tokens.

    The factor in the formula is the whole extension's, as in transformers: at T = factor x L, theta rises as for
    factor^2 - factor + 1, and with factor 1 for T / L.
    """

    factor: float
    original_max_position_embeddings: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.factor >= 1, f"position.factor must be at least 1, got {self.factor}")
        check_length(self.original_max_position_embeddings)

    def at(self, length: int) -> Rope:
        factor = self.factor * length / self.original_max_position_embeddings - (self.factor - 1)
        return RopeNtk(self.rope_theta, max(1.0, factor))

    def off(self, length: int) -> "RopeDynamicNtk":
        return replace(self, original_max_position_embeddings=length)


@dataclass(frozen=True)
class DynamicYarn(ByLength, Rope):
    """Dynamic YaRN (Peng et al. 2023, 2309.00071, section 3.3): YaRN with factor max(1, T / L), sharpness included."""

    original_max_position_embeddings: int
    beta_fast: float
    beta_slow: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at(1)  # it checks the rest

    def at(self, length: int) -> Rope:
        trained = self.original_max_position_embeddings
        factor = max(1.0, length / trained) if trained > 0 else 1.0
        sharpness = yarn_attention_factor(factor)
        return Yarn(self.rope_theta, factor, trained, self.beta_fast, self.beta_slow, sharpness)

    def off(self, length: int) -> "DynamicYarn":
        return replace(self, original_max_position_embeddings=length)
