"""The three seams of a model: where a token stands, who may look at whom, how heads gather values.

Shapes: B batch, H heads, S tokens, Q queries, K keys, D head width, W model width.

A method of the field is a choice of one `Position`, one `Mask` and one `Attention`. Each hook is neutral by default,
so that a member overrides one. `Places` are an explicit argument from the batch down: packed rows, sampled positions
and caches are data, not flags.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor


class Places(NamedTuple):
    """Where tokens stand: `columns` [S] of the row, `positions` [B, S] for angles and biases, `documents` [B, S].

    Masks count columns, encodings read positions: the two differ where positions restart, skip or are sampled.
    `documents` is None where each row is one document.
    """

    columns: Tensor
    positions: Tensor
    documents: Tensor | None

    def part(self, start: int, stop: int) -> Places:
        """Return the places of the columns from index `start` up to `stop`."""
        documents = None if self.documents is None else self.documents[:, start:stop]
        return Places(self.columns[start:stop], self.positions[:, start:stop], documents)


def distances(queries: Places, keys: Places) -> Tensor:
    """Return how many columns each key lies before each query [1, 1, Q, K]; negative in the future."""
    return (queries.columns[:, None] - keys.columns[None, :])[None, None]


@dataclass(frozen=True)
class Reach:
    """Where a view's keys lie, so that a kernel can cut slices without evaluating a mask over T x T.

    `causal`: any column up to the query's; `band`: the last `size` of these; `head`: the first `size` of a document.
    No pair of the view is nearer than `beyond` columns.
    """

    tag: Literal["causal", "band", "head"] = "causal"
    size: int = 0
    beyond: int = 0


def unmoved(positions: Tensor) -> Tensor:
    """Return `positions` as they are."""
    return positions


@dataclass(frozen=True)
class View:
    """A set of visible pairs, and the positions to which queries and keys are turned when these pairs are scored.

    One plain view is ordinary attention. Sinks, Self-Extend and their relatives split the visible pairs into several
    views, since they score near and far pairs at different distances; one softmax runs over all of them. `visible`
    returns bool [1 or B, 1, Q, K] for the queries and keys of one row; the kernel keeps documents apart by itself.
    """

    visible: Callable[[Places, Places], Tensor]
    reach: Reach = Reach()
    turn_queries: Callable[[Tensor], Tensor] = unmoved
    turn_keys: Callable[[Tensor], Tensor] = unmoved


class Position:
    """Where a token stands. Every hook is neutral, as for a model without positions."""

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        """Return the embeddings `x` [B, S, W] with whatever is added at the input."""
        return x

    def rotate(self, heads: Tensor, positions: Tensor) -> Tensor:
        """Return `heads` [B, H, S, D] turned to `positions` [B, S]."""
        return heads

    def bias(self, queries: Tensor, keys: Tensor, num_heads: int) -> Tensor | None:
        """Return what is added to the logits [B, H, Q, K] from positions `queries` [B, Q] to `keys` [B, K], or None."""
        return None

    def base(self) -> Position:
        """Return the encoding of the untouched model, which this one extends; itself if it is trained from scratch."""
        return self

    def layer(self, index: int, count: int) -> Position:
        """Return the member for layer `index` of `count`."""
        return self


class Mask:
    """Who may look at whom."""

    def views(self) -> tuple[View, ...]:
        """Return the visible pairs as one view, or as several that turn heads to different positions."""
        raise TypeError(f"{type(self).__name__} states no views")

    def base(self) -> Mask:
        """Return the mask of the untouched model; itself if the model is trained with it."""
        return self

    def layer(self, index: int, count: int) -> Mask:
        """Return the member for layer `index` of `count`."""
        return self


class Attention:
    """How heads gather values: softmax over the mask's views, unless a member rearranges them or scales the queries."""

    def views(self, mask: Mask) -> tuple[View, ...]:
        """Return the views of `mask` as this mechanism scores them."""
        return mask.views()

    def scale(self, queries: Places, keys: Places, views: tuple[View, ...]) -> Tensor | None:
        """Return what the logits of each query are multiplied by, [B, Q], or None for nothing."""
        return None

    def base(self) -> Attention:
        """Return the mechanism of the untouched model; itself if the model is trained with it."""
        return self

    def layer(self, index: int, count: int) -> Attention:
        """Return the member for layer `index` of `count`."""
        return self
