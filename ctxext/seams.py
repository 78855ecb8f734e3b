"""The three seams of a model: where a token stands, who may look at whom, how heads gather values.

Shapes: B batch, H heads, G key-value heads, S tokens, Q queries, K keys, D head width, W model width.

A method of the field is a choice of one `Position`, one `Mask` and one `Attention`. Each hook is neutral by default,
so that a member overrides one. `Places` are an explicit argument from the batch down: packed rows, sampled positions
and caches are data, not flags. A member is a frozen dataclass of settings; what is learned grows from it as a module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from ctxext.places import Places, unmoved


@dataclass(frozen=True)
class Reach:
    """Where a view's keys lie, so that a kernel can cut slices without evaluating a mask over T x T.

    `causal`: any column up to the query's; `band`: the last `size` of these; `chunk`: those of the query's chunk, where
    a document is cut into chunks of `size`; `head`: the first `size` of a document. No pair of the view is nearer than
    `beyond` columns. `is_whole` promises that a row of no more columns than the reach holds, any number for `causal`,
    sees all of its past; `is_full`, that every pair within reach, beyond `beyond` and within a document is of the view.
    """

    tag: Literal["causal", "band", "chunk", "head"] = "causal"
    size: int = 0
    beyond: int = 0
    is_whole: bool = False
    is_full: bool = False

    def part(self, beyond: int = 0) -> Reach:
        """Return the reach of some of its pairs, none of them nearer than `beyond` columns."""
        return Reach(self.tag, self.size, max(self.beyond, beyond))

    def near(self, size: int) -> Reach:
        """Return the reach of its pairs nearer than `size` columns."""
        if self.tag in ("causal", "band"):
            return replace(self, tag="band", size=min(size, self.size) if self.tag == "band" else size)
        return self.part() if self.tag == "head" else Reach("band", min(size, self.size), self.beyond)

    def far(self, size: int) -> Reach:
        """Return the reach of its pairs from `size` columns on."""
        return replace(self.part(size), is_full=self.is_full)


@dataclass(frozen=True)
class View:
    """A set of visible pairs, and the positions to which queries and keys are turned when these pairs are scored.

    One plain view is ordinary attention. Sinks, Self-Extend and their relatives score near and far pairs at different
    distances, in several views under one softmax. `visible` returns bool [1 or B, 1 or H, Q, K] for the queries and
    keys of one row; the kernel keeps documents apart by itself. `turn_queries` and `turn_keys` return positions [B, S];
    `weigh` returns what is added to the logits, float32 [1 or B, 1 or H, Q, K]. A `cap` c above 0 bounds them before
    that: z becomes c tanh(z / c).
    """

    visible: Callable[[Places, Places], Tensor]
    reach: Reach = Reach()
    turn_queries: Callable[[Places], Tensor] = unmoved
    turn_keys: Callable[[Places], Tensor] = unmoved
    weigh: Callable[[Places, Places], Tensor] | None = None
    cap: float = 0.0


class Work(NamedTuple):
    """What each head of a layer computes, in multiplications whose products are added up; the projections don't count.

    `by_pair`: views and what each of their visible pairs takes, 0 where a query sees keys through a state alone; no
    pair is in two of them. `by_token`: what a token takes beside, the mean of the text.
    """

    by_pair: tuple[tuple[View, int], ...]
    by_token: float = 0.0


@dataclass(frozen=True)
class Sizes:
    """The sizes of a network that learned parts depend on."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int


Family = TypeVar("Family")


class Member(Generic[Family]):
    """What a position, a mask and an attention mechanism have in common."""

    divides: ClassVar[Literal["columns", "rows"]] = "columns"
    """What of a batch several processes may read apart in training: columns of rows, or rows alone."""

    def base(self: Family) -> Family:
        """Return the member of the untouched model, which this one extends; itself if it is trained from scratch."""
        return self

    def off(self: Family, length: int) -> Family | None:
        """Return this member set so that inputs up to `length` tokens are read exactly as by its base, if it can be."""
        return None

    def grown(self: Family, sizes: Sizes, before: Family | None) -> Family:
        """Return the member with its learned parts, a module, for a network of `sizes`; itself where it learns nothing.

        `before` is what fills the seam in the network whose weights are shared, with its learned parts.
        """
        return self

    def layer(self: Family, index: int, count: int) -> Family:
        """Return the member for layer `index` of `count`."""
        return self

    def period(self) -> int:
        """Return by multiples of how many positions all labels may shift without a change: 1 for any, 0 for none."""
        return 1

    def keeps_prefix(self) -> bool:
        """Return whether outputs stay as they are when tokens are appended."""
        return True

    def penalty(self) -> Tensor | None:
        """Return what is added to the loss in training, or None."""
        return None

    def settle(self) -> None:
        """Bring back what a step of training has put where it has no meaning."""


class Position(Member["Position"]):
    """Where a token stands. Every hook is neutral, as for a model without positions."""

    def prepare(self, places: Places, like: Tensor) -> None:
        """Compute what the layers share of reading at `places`, for heads of the width and type of `like` [..., D]."""

    def embed(self, x: Tensor, places: Places) -> Tensor:
        """Return the embeddings `x` [B, S, W] of tokens at `places` with whatever is added at the input."""
        return x

    def rotate(self, heads: Tensor, places: Places) -> Tensor:
        """Return `heads` [B, H, S, D] turned to `places`."""
        return heads

    def rotate_keys(self, heads: Tensor, places: Places) -> Tensor:
        """Return keys `heads` [B, G, S, D] turned to `places`; as `rotate` turns queries where the two don't differ."""
        return self.rotate(heads, places)

    def bias(self, queries: Places, keys: Places, num_heads: int) -> Tensor | None:
        """Return what is added to the logits, float32 [1 or B, H, Q, K], from `queries` to `keys`, or None."""
        return None

    def slopes(self, num_heads: int, device: torch.device) -> Tensor | None:
        """Return each head's slope [H] where `bias` is minus that times the positions between, and else None."""
        return None

    def contextual_bias(self, q: Tensor, logits: Tensor, visible: Tensor) -> Tensor | None:
        """Return what is added to `logits` [B, H, Q, K] that depends on them and on `q` [B, H, Q, D], or None.

        `logits` are those of all views together, 0 where the pair isn't `visible`; `q` is as the first view turns it.
        """
        return None

    def turns_for_good(self) -> bool:
        """Return whether a key, turned to its place, stays as it is however the text goes on."""
        return False

    def limit(self) -> int | None:
        """Return how many positions there are, or None where there is no limit."""
        return None

    def products(self, width: int) -> int:
        """Return how many products to be summed a token takes in each head, of `width`, for what is added."""
        return 0


class Mask(Member["Mask"]):
    """Who may look at whom."""

    def views(self) -> tuple[View, ...]:
        """Return the visible pairs as one view, or as several that turn heads to different positions."""
        raise TypeError(f"{type(self).__name__} states no views")

    def keeps_documents_apart(self) -> bool:
        """Return whether rows packed with several documents are read as such, and not as one text."""
        return True


State = tuple[Tensor, ...]
"""What a mechanism carries from token to token in place of keys: tensors [B, ...], to be replaced, never written to."""


@dataclass(frozen=True)
class Heads:
    """What a layer offers to attention: queries `q` [B, H, Q, D], and `k`, `v` [B, G, K, D] of all tokens so far.

    `x` [B, Q, W] are the states that the queries were made from, and `project` makes q, k and v from such states.
    `remembered` holds for all tokens so far [B, *, K, *] what the mechanism asked to be kept beside keys and values.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    remembered: tuple[Tensor, ...]
    x: Tensor
    project: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


class Attention(Member["Attention"]):
    """How heads gather values."""

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        """Return what each head gathers [B, H, Q, D]; `queries` are the last Q of the `keys`' places."""
        raise TypeError(f"{type(self).__name__} states no way to gather")

    def scored(self, mask: Mask) -> tuple[View, ...] | None:
        """Return the views whose pairs are all that `gather` uses keys and values for; None where it needs them all."""
        return None

    def carried(self, mask: Mask) -> tuple[View, ...] | None:
        """Return the views through which `carry` looks at keys beside its state; None for what carries no state."""
        return None

    def carry(
        self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask, state: State
    ) -> tuple[Tensor, State]:
        """Return what `gather` would for texts that go on after the `state`, () at first, and the state after that.

        Each row is one document, keys are turned by their places alone, and those out of reach of `carried` may lack.
        """
        raise TypeError(f"{type(self).__name__} carries no state")

    def work(self, mask: Mask, length: int, width: int) -> Work:
        """Return what heads of `width` need to compute for a text of `length` tokens, whatever a kernel does beside."""
        return Work(tuple((view, 2 * width) for view in self.scored(mask) or mask.views()))

    def remember(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return what to keep of the states `x` [B, S, W] beside keys and values: tensors [B, *, S, *]."""
        return ()

    def in_training(self) -> Attention:
        """Return the member that stands in while weights are trained; itself where there is no other."""
        return self
