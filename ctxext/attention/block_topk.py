"""Mixture of block attention: each query looks into its own block and the few earlier ones that match it best.

Shapes: B batch, H heads, G key-value heads, Q queries, K keys, N blocks, D head width.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.kernels.gather import gather
from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, Heads, Mask, Position, View, Work


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
            chosen = self.choose(position.rotate(heads.q, queries), position.rotate_keys(heads.k, keys), keys)
            views = tuple(self.within(view, chosen, blocks_of(keys, self.block), queries) for view in views)
        return gather(heads.q, heads.k, heads.v, queries, keys, views, position, None)

    @torch.no_grad()
    def choose(self, q: Tensor, k: Tensor, keys: Places) -> Tensor:
        """Return which blocks each query looks into, bool [B, H, Q, N], by turned `q` [B, H, Q, D], `k` [B, G, K, D].

        Sums are double: in single precision near ties would fall otherwise where the same tokens are read in parts.
        """
        blocks, num_queries = blocks_of(keys, self.block), q.shape[2]
        means = block_means(k.double(), blocks, self.count(keys))
        grouped = q.double().reshape(q.shape[0], k.shape[1], -1, num_queries, q.shape[3])
        scores = torch.einsum("bghqd,bgnd->bghqn", grouped, means).flatten(1, 2)
        own = blocks[:, -num_queries:, None]
        first = own - (keys.ordinals[:, -num_queries:, None] // self.block)
        number = torch.arange(scores.shape[-1], device=scores.device)
        is_past, is_own = ((first <= number) & (number < own))[:, None], (number == own)[:, None]
        scores = scores.masked_fill(~is_past, float("-inf")).masked_fill(is_own, float("inf"))
        best = scores.sort(dim=-1, descending=True, stable=True).indices[..., : self.top_k]
        # Where fewer blocks are past, others fill the places; the mask hides these.
        return torch.zeros_like(scores, dtype=torch.bool).scatter(-1, best, True)

    def count(self, keys: Places) -> int:
        """Return how many blocks there are, at most, in a row."""
        if keys.documents is None:
            return -(-keys.columns.shape[0] // self.block)
        # Of packed documents only the device knows it.
        return int(blocks_of(keys, self.block)[:, -1].max()) + 1

    def within(self, view: View, chosen: Tensor, blocks: Tensor, all_queries: Places) -> View:
        """Return the pairs of `view` whose key is in a block that `chosen` [B, H, Q, N] tells, by `blocks` [B, K]."""
        start = all_queries.columns[0]

        def visible(queries: Places, keys: Places) -> Tensor:
            here = chosen[:, :, queries.columns - start]
            there = blocks[:, keys.columns][:, None, None].expand(-1, *here.shape[1:3], -1)
            return view.visible(queries, keys) & here.gather(-1, there)

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


def blocks_of(keys: Places, size: int) -> Tensor:
    """Return in which block of `size` tokens of a document each key is [B, K], counted from the row's beginning."""
    return (keys.ordinals % size == 0).cumsum(dim=-1) - 1


def block_means(k: Tensor, blocks: Tensor, count: int) -> Tensor:
    """Return the means [B, G, N, D] of the keys `k` [B, G, K, D] over `count` `blocks` [B, K]; 0 where one is empty."""
    number = torch.arange(count, device=k.device)
    belongs = (number[:, None] == blocks[:, None, :]).to(k.dtype)
    # A product, since adding by index isn't deterministic on every device.
    return belongs[:, None] @ k / belongs.sum(dim=-1).clamp(min=1)[:, None, :, None]
