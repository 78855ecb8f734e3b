"""Mixture of block attention: each query looks into its own block and the few earlier ones that match it best.

Shapes: B batch, H heads, G key-value heads, Q queries, K keys, N blocks, D head width.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as attend

from ctxext.attention.softmax import Softmax
from ctxext.kernels.gather import gather, is_biased, sees_all
from ctxext.kernels.tiles import BLOCK
from ctxext.places import Places, distances
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, Heads, Mask, Position, Reach, State, View, Work

AT_ONCE = 16
"""Blocks whose means are taken at once."""


@dataclass(frozen=True)
class BlockTopk(Attention):
    """MoBA (Lu et al. 2025, 2502.13189): the query's own block of `block` tokens and the `top_k` - 1 best before it.

    A block is scored by q times the mean of its turned keys; at equal scores the earlier wins. Blocks are counted in
    the document, and a query ranks only those that ended before its own began, so that no mean looks ahead.
    """

    block: int
    top_k: int

    def __post_init__(self) -> None:
        check_types(self, "attention")
        require(self.block >= 1, f"attention.block must be at least 1 token, got {self.block}")
        require(self.top_k >= 1, f"attention.top_k must be at least 1 block, got {self.top_k}")

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        views = mask.views()
        if heads.k.shape[2] > self.block * self.top_k:  # else every block is chosen
            best = self.choose(position.rotate(heads.q, queries), position.rotate_keys(heads.k, keys), keys)
            blocks = blocks_of(keys, self.block)
            views = tuple(self.within(view, best, lambda keys: blocks[:, keys.columns], queries) for view in views)
        return gather(heads.q, heads.k, heads.v, queries, keys, views, position, None)

    def carried(self, mask: Mask) -> tuple[View, ...]:
        # A mean is taken as soon as the last key of its block has come.
        return *mask.views(), View(visible_past, Reach("band", self.block))

    def carry(
        self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask, state: State
    ) -> tuple[Tensor, State]:
        means = self.extended(state, heads, keys, position)
        views = mask.views()
        if keys.size > self.block * self.top_k:
            own = queries.ordinals // self.block
            best = self.best(position.rotate(heads.q, queries), padded(means), own, torch.zeros_like(own))
            if heads.q.shape[2] == 1 and sees_all(views, queries) and not is_biased(position):
                return self.of_blocks(position.rotate(heads.q, queries), heads, best[:, :, 0], keys.size), (means,)
            views = tuple(self.within(view, best, lambda keys: keys.ordinals // self.block, queries) for view in views)
        return gather(heads.q, heads.k, heads.v, queries, keys, views, position, None), (means,)

    @torch.no_grad()
    def extended(self, state: State, heads: Heads, keys: Places, position: Position) -> Tensor:
        """Return the means [B, G, N, D] of the turned keys of all whole blocks, of which `state` holds the first."""
        known = state[0].shape[2] if state else 0
        count, dropped = keys.size // self.block - known, keys.size - keys.columns.shape[0]
        if count == 0 and state:
            return state[0]
        start = known * self.block - dropped
        here = keys.part(start, start + count * self.block)
        new = position.rotate_keys(heads.k[:, :, start : start + count * self.block], here).double()
        means = new.view(*new.shape[:2], count, self.block, new.shape[3]).mean(dim=3)
        return torch.cat((*state, means), dim=2)

    def of_blocks(self, q: Tensor, heads: Heads, best: Tensor, size: int) -> Tensor:
        """Return what the last token's turned `q` [B, H, 1, D] gathers of its `best` blocks [B, H, top_k] alone."""
        within = torch.arange(self.block, device=best.device)
        index = (best[..., None] * self.block + within).flatten(2)
        visible = index < size
        index = index.clamp(max=size - 1)
        k, v = (of_head(part, index) for part in (heads.k, heads.v))
        return attend(q, k, v, attn_mask=visible[:, :, None])

    @torch.no_grad()
    def choose(self, q: Tensor, k: Tensor, keys: Places) -> Tensor:
        """Return the blocks [B, H, Q, top_k] that each query looks into, by turned `q` [B, H, Q, D], `k` [B, G, K, D].

        Sums are double: in single precision near ties would fall otherwise where the same tokens are read in parts.
        """
        blocks, num_queries = blocks_of(keys, self.block), q.shape[2]
        means = block_means(k.double(), blocks, self.count(keys))
        own = blocks[:, -num_queries:]
        return self.best(q, means, own, own - keys.ordinals[:, -num_queries:] // self.block)

    @torch.no_grad()
    def best(self, q: Tensor, means: Tensor, own: Tensor, first: Tensor) -> Tensor:
        """Return the numbers [B, H, Q, top_k] of the blocks with the best `means` [B, G, N, D] for turned `q`.

        They are each query's `own` [B, Q] and some from the `first` [B, Q] of its document to that; where fewer are
        past, others fill the places, and the mask hides these.
        """
        # Some queries at a time, since each has a score for each block.
        parts = (torch.split(part, BLOCK, dim=dim) for part, dim in ((q, 2), (own, 1), (first, 1)))
        found = [self.ranked(here, own, first, means) for here, own, first in zip(*parts, strict=True)]
        return torch.cat(found, dim=2)

    def ranked(self, q: Tensor, own: Tensor, first: Tensor, means: Tensor) -> Tensor:
        """Return what `best` does, of all queries at once."""
        grouped = q.double().reshape(q.shape[0], means.shape[1], -1, *q.shape[2:])
        scores = torch.einsum("bghqd,bgnd->bghqn", grouped, means).flatten(1, 2)
        number = torch.arange(scores.shape[-1], device=scores.device)
        is_past = (first[..., None] <= number) & (number < own[..., None])
        is_own = number == own[..., None]
        scores = scores.masked_fill(~is_past[:, None], float("-inf")).masked_fill(is_own[:, None], float("inf"))
        return scores.sort(dim=-1, descending=True, stable=True).indices[..., : self.top_k]

    def count(self, keys: Places) -> int:
        """Return how many blocks there are, at most, in a row."""
        if keys.documents is None:
            return -(-keys.columns.shape[0] // self.block)
        # Of packed documents only the device knows it.
        return int(blocks_of(keys, self.block)[:, -1].max()) + 1

    def within(self, view: View, best: Tensor, blocks: Callable[[Places], Tensor], all_queries: Places) -> View:
        """Return the pairs of `view` whose key is in one of the `best` [B, H, Q, top_k] blocks, by their `blocks`."""
        start = all_queries.columns[0]

        def visible(queries: Places, keys: Places) -> Tensor:
            here, there = best[:, :, queries.columns - start], blocks(keys)[:, None, None]
            is_one = (here[..., rank, None] == there for rank in range(here.shape[-1]))
            return view.visible(queries, keys) & reduce(torch.logical_or, is_one)

        return replace(view, visible=visible, reach=view.reach.part())

    def work(self, mask: Mask, length: int, width: int) -> Work:
        # Whatever blocks are chosen, they hold as many keys as the nearest ones, where the mask hides none of them.
        pairs = tuple((self.nearest(view), 2 * width) for view in mask.views())
        whole, rest = divmod(length, self.block)
        ranked = self.block * whole * (whole - 1) // 2 + rest * whole  # blocks, by all queries
        return Work(pairs, ranked * width / length if length > self.block * self.top_k else 0.0)

    def nearest(self, view: View) -> View:
        """Return the pairs of `view` whose key is in the query's block or in the `top_k` - 1 blocks before it."""

        def visible(queries: Places, keys: Places) -> Tensor:
            here, there = (places.ordinals // self.block for places in (queries, keys))
            return view.visible(queries, keys) & (here[:, None, :, None] - there[:, None, None, :] < self.top_k)

        return replace(view, visible=visible, reach=view.reach.part())

    def base(self) -> Attention:
        return Softmax()

    def off(self, length: int) -> Attention:
        return replace(self, top_k=max(-(-length // self.block), 1))


def visible_past(queries: Places, keys: Places) -> Tensor:
    """Return bool [1, 1, Q, K]: the key is the query's own token or an earlier one."""
    return distances(queries, keys) >= 0


def blocks_of(keys: Places, size: int) -> Tensor:
    """Return in which block of `size` tokens of a document each key is [B, K], counted from the row's beginning."""
    return (keys.ordinals % size == 0).cumsum(dim=-1) - 1


def padded(means: Tensor) -> Tensor:
    """Return `means` [B, G, N, D] with a place for a block that isn't whole."""
    return torch.cat((means, torch.zeros_like(means[:, :, :1])), dim=2)


def of_head(heads: Tensor, index: Tensor) -> Tensor:
    """Return the tokens [B, H, N, D] of the key-value `heads` [B, G, K, D] at each head's `index` [B, H, N]."""
    groups, width = heads.shape[1], heads.shape[3]
    by_group = index.view(index.shape[0], groups, -1, index.shape[2])
    shared = heads[:, :, None].expand(-1, -1, by_group.shape[2], -1, -1)
    return shared.gather(3, by_group[..., None].expand(*by_group.shape, width)).flatten(1, 2)


def block_means(k: Tensor, blocks: Tensor, count: int) -> Tensor:
    """Return the means [B, G, N, D] of the keys `k` [B, G, K, D] over `count` `blocks` [B, K]; 0 where one is empty."""
    found = []
    for number in torch.split(torch.arange(count, device=k.device), AT_ONCE):
        belongs = (number[:, None] == blocks[:, None, :]).to(k.dtype)
        # A product, since adding by index isn't deterministic on every device.
        found.append(belongs[:, None] @ k / belongs.sum(dim=-1).clamp(min=1)[:, None, :, None])
    return torch.cat(found, dim=2)
