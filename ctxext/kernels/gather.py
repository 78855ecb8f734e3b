"""How queries, keys and values become outputs: the kernel is chosen here, from the views' reach and the bias.

Shapes: B batch, H heads, G key-value heads, Q queries, K keys (the queries stand in its last Q columns), D head width.
"""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as attend

from ctxext.seams import Places, Position, View, unmoved

BLOCK = 256
"""Queries scored at once: no mask or bias is ever larger than BLOCK x K."""


def gather(
    q: Tensor, k: Tensor, v: Tensor, queries: Places, keys: Places, views: tuple[View, ...], position: Position, scale: Tensor | None
) -> Tensor:
    """Return the outputs [B, H, Q, D] of one softmax over all pairs of `views`.

    `q` [B, H, Q, D], `k` and `v` [B, G, K, D] are not yet turned; `position` turns them to where each view scores them.
    `scale` [B, Q] multiplies the logits of each query.
    """
    if scale is not None:
        q = q * scale.to(q.dtype)[:, None, :, None]
    num_keys = k.shape[2]
    views = tuple(view for view in views if view.reach.beyond < num_keys)
    if is_plain_causal(views, queries, num_keys) and position.bias(queries.positions[:, :1], keys.positions[:, :1], 1) is None:
        q, k = position.rotate(q, queries.positions), position.rotate(k, keys.positions)
        return attend(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])
    turned = [
        (view, position.rotate(q, view.turn_queries(queries.positions)), position.rotate(k, view.turn_keys(keys.positions))) for view in views
    ]
    starts = range(0, q.shape[2], BLOCK)
    blocks = [one_block(turned, v, queries, keys, position, start, min(start + BLOCK, q.shape[2])) for start in starts]
    return torch.cat(blocks, dim=2)


def is_plain_causal(views: tuple[View, ...], queries: Places, num_keys: int) -> bool:
    """Return whether `views` amount to the whole past of single-document rows, with every head where its token stands."""
    if len(views) != 1 or queries.documents is not None or queries.columns.shape[0] != num_keys:
        return False
    view = views[0]
    whole = view.reach.tag == "causal" or (view.reach.tag == "band" and view.reach.size >= num_keys)
    return whole and view.reach.beyond == 0 and view.turn_queries is unmoved and view.turn_keys is unmoved


Turned = list[tuple[View, Tensor, Tensor]]


def one_block(turned: Turned, v: Tensor, queries: Places, keys: Places, position: Position, start: int, stop: int) -> Tensor:
    """Return the outputs [B, H, stop - start, D] of the queries from `start` up to `stop` over the slices that they reach."""
    offset = v.shape[2] - queries.columns.shape[0]
    here = queries.part(start, stop)
    groups = turned[0][1].shape[1] // v.shape[1]
    scores, values = [], []
    for view, q, k in turned:
        first, last = columns(view, offset + start, offset + stop, has_documents=queries.documents is not None)
        if first >= last:
            continue
        there = keys.part(first, last)
        block_q, block_k = q[:, :, start:stop], k[:, :, first:last].repeat_interleave(groups, dim=1)
        scores.append(view_scores(view, block_q, block_k, here, there, position))
        values.append(v[:, :, first:last].repeat_interleave(groups, dim=1))
    weights = torch.cat(scores, dim=-1).softmax(dim=-1).to(v.dtype)
    return weights @ torch.cat(values, dim=2)


def view_scores(view: View, q: Tensor, k: Tensor, queries: Places, keys: Places, position: Position) -> Tensor:
    """Return the logits [B, H, Q, K] of `view` in float32, with what it doesn't see at minus infinity."""
    scores = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    bias = position.bias(view.turn_queries(queries.positions), view.turn_keys(keys.positions), q.shape[1])
    if bias is not None:
        scores = scores + bias
    return scores.masked_fill(~seen(view, queries, keys), float("-inf"))


def seen(view: View, queries: Places, keys: Places) -> Tensor:
    """Return bool [1 or B, 1, Q, K]: the pair is one of `view` and of one document."""
    visible = view.visible(queries, keys)
    if queries.documents is None or keys.documents is None:
        return visible
    return visible & (queries.documents[:, None, :, None] == keys.documents[:, None, None, :])


def columns(view: View, start: int, stop: int, *, has_documents: bool) -> tuple[int, int]:
    """Return the first and the last column (exclusive) that queries at columns `start` up to `stop` reach in `view`."""
    last = max(stop - view.reach.beyond, 0)
    if view.reach.tag == "band":
        return max(start - view.reach.size + 1, 0), last
    if view.reach.tag == "head" and not has_documents:  # each document of a packed row has a head of its own
        return 0, min(view.reach.size, last)
    return 0, last


def visible_keys(queries: Places, keys: Places, views: tuple[View, ...]) -> Tensor:
    """Return how many keys each query sees over all `views`, int64 [1 or B, Q]."""
    counts = []
    for start in range(0, queries.columns.shape[0], BLOCK):
        here = queries.part(start, start + BLOCK)
        counts.append(sum((seen(view, here, keys).sum(dim=-1)[:, 0] for view in views), start=torch.zeros((), dtype=torch.int64)))
    return torch.cat(counts, dim=1)
