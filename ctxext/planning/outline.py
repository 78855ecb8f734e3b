"""What a plan knows of a network and of a step: sizes alone, so that nothing of the size is ever allocated.

Shapes: B rows of a step, L tokens of a row, W hidden size, I intermediate size, H heads, G key-value heads, D width,
V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from ctxext.parallel.settings import Parallel

Shape = tuple[int, ...]
FULL = 4
"""Bytes of a number in float32: weights are kept and gathered in it, so are gradients and AdamW's moments."""


@dataclass(frozen=True)
class Outline:
    """A decoder's sizes: the shapes of its parameters outside of blocks and in each, and what its heads compute.

    `products` of all layers' heads and of a token, the mean of the text; `multiplied` weights meet every token.
    """

    root: tuple[Shape, ...]
    blocks: tuple[tuple[Shape, ...], ...]
    table: Shape
    is_tied: bool
    intermediate: int
    heads: int
    groups: int
    head_dim: int
    multiplied: int
    products: float

    @property
    def parameters(self) -> int:
        """How many there are."""
        return counted(self.root) + sum(map(counted, self.blocks))

    @property
    def flops_per_token(self) -> float:
        """Of a forward pass: two for each weight that a token meets, and two for each product of its heads."""
        return 2.0 * self.multiplied + 2.0 * self.products


@dataclass(frozen=True)
class Step:
    """A step of training: its rows B of `length` L tokens in `parts` one after the other, shared by the `mesh`.

    `recomputes`: blocks keep what enters them alone. `size`: bytes of a number that is multiplied.
    """

    rows: int
    length: int
    parts: int
    recomputes: bool
    size: int
    mesh: Parallel

    @property
    def tokens(self) -> float:
        """Tokens of a part on a rank."""
        return self.rows * self.length / self.parts / self.mesh.size

    @property
    def shards(self) -> int:
        """Into how many parts weights, gradients and moments are cut."""
        return self.mesh.shard

    @property
    def copies(self) -> int:
        """How many ranks have the same part of the weights, and sum its gradients."""
        return self.mesh.data * self.mesh.context


def counted(shapes: tuple[Shape, ...]) -> int:
    """Return how many numbers tensors of `shapes` have."""
    return sum(prod(shape) for shape in shapes)


def padded(shapes: tuple[Shape, ...], shards: int) -> int:
    """Return how many numbers tensors of `shapes` have once each is cut into `shards` equal parts along its first axis.

    FSDP pads the last part.
    """
    return sum(-(-shape[0] // shards) * shards * prod(shape[1:]) for shape in shapes)


def outline(network: Any, heads_products: float, multiplied: int) -> Outline:
    """Return the outline of the decoder `network`, on torch's meta device or not.

    `heads_products` and `multiplied` are counted by `ctxext.model.cost`.
    """
    geometry, sizes = network.geometry, network.geometry.sizes
    blocks = tuple(tuple(tuple(part.shape) for part in block.parameters()) for block in network.layers)
    inside = {id(part) for block in network.layers for part in block.parameters()}
    root = tuple(tuple(part.shape) or (1,) for part in network.parameters() if id(part) not in inside)
    return Outline(
        root,
        blocks,
        tuple(network.unembedding.weight.shape),
        geometry.tie_word_embeddings,
        geometry.intermediate_size,
        sizes.num_attention_heads,
        sizes.num_key_value_heads,
        sizes.head_dim,
        multiplied,
        heads_products,
    )


def flops(known: Outline, step: Step) -> float:
    """Return the operations of `step` on each rank: what is needed, pairs that a mask hides not among it."""
    again = 0.0
    if step.recomputes:  # blocks alone, up to what their last product reads
        last = len(known.blocks) * known.intermediate * known.table[1]
        again = known.flops_per_token - 2 * counted((known.table,)) - 2 * last
    return step.parts * step.tokens * (3 * known.flops_per_token + again)
