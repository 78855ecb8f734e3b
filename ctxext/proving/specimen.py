"""What is examined: a composition and its base on the same weights, with inputs long enough that the method acts.

Shapes: B rows, S tokens, W hidden size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ctxext.model import cost
from ctxext.proving.acting import Acting, ladder, needed
from ctxext.seams import Attention, Mask, Position

Members = tuple[Position, Mask, Attention]

BEYOND = 64
"""How many tokens beyond the trained length are read, or as many again where the trained length is shorter."""
AFFORDABLE = 2e11
"""Floating-point operations that reading one text may take, where longer ones are tried until a method acts."""
GRAPH = 1.5e9
"""Bytes that the weights of attention may take which one reading keeps for its gradients."""
SAME = 5e-4
"""Two readings are the same up to this largest difference over the root mean square; rounding alone gives 5e-5."""


@dataclass(frozen=True)
class Specimen:
    """The composed `network` and its `base`, which share their weights; `length` tokens are read at once.

    The shared weights are those of the network that was given, not a copy. What the seams learn is a copy, moved at
    random, so that parts which begin at 0 act. Longer texts are read where a method acts only there, unless reading one
    takes more than `affordable` floating-point operations.
    """

    network: Any
    base: Any
    trained_length: int
    target_length: int
    length: int
    affordable: float

    @property
    def has_heads(self) -> bool:
        """Whether the network has heads, on which the three seams act."""
        return hasattr(self.network, "members")

    @property
    def members(self) -> Members:
        """What fills the three seams."""
        return members_of(self.network)

    @property
    def extends(self) -> bool:
        """Whether the composition is another than its base."""
        return self.has_heads and self.members != members_of(self.base)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.network.unembedding[0].device
        return device

    def limit(self, *networks: Any) -> int | None:
        """Return how many positions all of `networks` have; None for no limit."""
        limits = [network.position.limit() for network in networks if hasattr(network, "position")]
        return min((limit for limit in limits if limit is not None), default=None)

    def tokens(self, length: int, rows: int = 1) -> Tensor:
        """Return `rows` of random tokens [B, S], the same at each call."""
        draw = torch.Generator().manual_seed(0)
        return torch.randint(self.network.geometry.vocab_size, (rows, length), generator=draw).to(self.device)

    @torch.no_grad()
    def read(self, network: Any, tokens: Tensor, shift: int = 0) -> Tensor:
        """Return the hidden states [B, S, W] of `tokens` [B, S], single documents whose positions begin at `shift`."""
        hidden: Tensor = network.hidden(tokens, positions(tokens) + shift)
        return hidden

    def shortened(self, length: int, affordable: float) -> Specimen:
        """Return the specimen with inputs of at most `length` tokens, longer ones up to `affordable` operations."""
        return replace(self, length=min(length, self.length), affordable=affordable)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """The lengths that are tried until a method acts, rising from `length` to the target or what is affordable."""
        end = min(self.target_length, self.limit(self.network, self.base) or self.target_length)
        return tuple(
            length
            for length in ladder(self.length, end)
            if length == self.length or cost.flops_per_token(self.network, length) * length <= self.affordable
        )

    def departs(self, other: Any, length: int, mode: str) -> bool:
        """Return whether the network in `mode` reads `length` tokens otherwise than the network `other`."""
        tokens = self.tokens(min(length, self.limit(self.network, other) or length))
        with self.training(mode):
            found = self.read(self.network, tokens)
        return difference(found, self.read(other, tokens)) > SAME

    @property
    def is_cut_short(self) -> bool:
        """Whether reading a text of the target length takes more than is affordable."""
        return self.lengths[-1] < min(self.target_length, self.limit(self.network, self.base) or self.target_length)

    @cached_property
    def acting(self) -> Acting:
        """How long a text must be, so that all that fills the seams acts."""
        return needed(self)

    def keeps_graph(self, length: int) -> bool:
        """Return whether what reading `length` tokens keeps for gradients fits into the memory."""
        heads = self.network.geometry.sizes.num_attention_heads * len(self.network.layers) if self.has_heads else 0
        return length <= self.length or 12 * heads * length**2 <= GRAPH

    @contextmanager
    def training(self, is_training: object) -> Iterator[None]:
        """Let the network stand as it is trained while the block runs, or as it is read."""
        before = self.network.training
        self.network.train(bool(is_training))
        try:
            yield
        finally:
            self.network.train(before)

    @property
    def modes(self) -> tuple[str, ...]:
        """The ways in which the network stands: reading, and training where other members stand in then."""
        if self.has_heads and self.network.members_in_training != self.network.members:
            return ("", "training")
        return ("",)


def members_of(network: Any) -> Members:
    """Return what fills the three seams of `network`."""
    return network.position, network.mask, network.attention


def specimen(base: Any, members: Members, trained_length: int, target_length: int) -> Specimen:
    """Return what shows the composition `members` on the weights of the network `base`, which is left as it is."""
    kept = {id(part): part for name, part in base.named_parameters() if not name.startswith("learned.")}
    devices = [base.unembedding[0].device] if base.unembedding[0].is_cuda else []
    with torch.random.fork_rng(devices=devices):
        copied = deepcopy(base, kept)
        network = copied.reading(*members)
        stir([copied.eval(), network.eval()])
    length = trained_length + min(BEYOND, trained_length)
    found = Specimen(network, copied, trained_length, target_length, length, AFFORDABLE)
    return found.shortened(found.limit(network) or length, AFFORDABLE)


@torch.no_grad()
def stir(networks: Sequence[nn.Module]) -> None:
    """Move what the seams of `networks` learn by random numbers, about as large as such weights become."""
    draw, stirred = torch.Generator().manual_seed(1), set()
    for network in networks:
        for name, part in network.named_parameters():
            if name.startswith("learned.") and id(part) not in stirred:
                stirred.add(id(part))
                deviation = 0.3 if part.dim() < 2 else part.shape[-1] ** -0.5
                part.add_(torch.randn(part.shape, generator=draw).to(part) * deviation)


def positions(tokens: Tensor) -> Tensor:
    """Return the positions [B, S] from 0 of `tokens` [B, S]."""
    return torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape)


def difference(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference between `found` and `expected` over the root mean square of the latter.

    What is not a number is infinitely different.
    """
    largest = (found - expected).abs().max() / expected.square().mean().sqrt()
    return float(largest) if bool(largest.isfinite()) else float("inf")
