"""How queries, keys and values become outputs: the kernel is chosen here, from the views' reach and the bias.

Shapes: B batch, H heads, G key-value heads, Q queries, K keys (the queries stand in its last Q columns), D head width.
"""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as attend

from ctxext.seams import Places, Position, View, unmoved

BLOCK = 256
"""Queries scored at once: no mask or bias is ever larger than BLOCK x K."""

Turned = list[tuple[View, Tensor, Tensor]]
"""Views with the queries and keys as each turns them."""


def gather(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    queries: Places,
    keys: Places,
    views: tuple[View, ...],
    position: Position,
    scale: Tensor | None,
) -> Tensor:
    """Return the outputs [B, H, Q, D] of one softmax over all pairs of `views`.

    `q` [B, H, Q, D], `k` and `v` [B, G, K, D] are not yet turned; `position` turns them to where each view scores them.
    `scale` [B, Q] multiplies the logits of each query.
    """
    if scale is not None:
        q = q * scale.to(q.dtype)[:, None, :, None]
    num_keys = k.shape[2]
    views = tuple(view for view in views if view.reach.beyond < num_keys)
    if is_plain_causal(views, queries, num_keys) and not is_biased(position):
        q, k = position.rotate(q, queries.positions), position.rotate(k, keys.positions)
        return attend(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])
    turned: Turned = []
    for view in views:
        turned_q = position.rotate(q, view.turn_queries(queries.positions))
        turned.append((view, turned_q, position.rotate(k, view.turn_keys(keys.positions))))
    starts = range(0, q.shape[2], BLOCK)
    blocks = [one_block(turned, v, queries, keys, position, start, min(start + BLOCK, q.shape[2])) for start in starts]
    return torch.cat(blocks, dim=2)


def is_plain_causal(views: tuple[View, ...], queries: Places, num_keys: int) -> bool:
    """Return whether `views` are the whole past of single-document rows, with every head where its token stands."""
    if len(views) != 1 or queries.documents is not None or queries.columns.shape[0] != num_keys:
        return False
    view = views[0]
    whole = view.reach.tag == "causal" or (view.reach.tag == "band" and view.reach.size >= num_keys)
    return whole and view.reach.beyond == 0 and view.turn_queries is unmoved and view.turn_keys is unmoved


def is_biased(position: Position) -> bool:
    """Return whether `position` adds anything to the logits."""
    return type(position).bias is not Position.bias


def one_block(
    turned: Turned, v: Tensor, queries: Places, keys: Places, position: Position, start: int, stop: int
) -> Tensor:
    """Return the outputs [B, H, stop - start, D] of the queries from `start` up to `stop` over what they reach."""
    offset = v.shape[2] - queries.columns.shape[0]
    here = queries.part(start, stop)
    reached = []
    for view, q, k in turned:
        first, last = columns(view, offset + start, offset + stop, has_documents=queries.documents is not None)
        if first < last:
            there = keys.part(first, last)
            reached.append((view, q[:, :, start:stop], k[:, :, first:last], v[:, :, first:last], there))
    view, q, k, values, there = reached[0]
    # In bfloat16 torch would round the bias, which is wrong from distance 256 on.
    if len(reached) == 1 and (q.dtype == torch.float32 or not is_biased(position)):
        mask = pair_mask(view, here, there, position, q.shape[1])
        return attend(q, k, values, attn_mask=mask, enable_gqa=q.shape[1] != k.shape[1])
    scores = [view_scores(view, q, k, here, there, position) for view, q, k, _, there in reached]
    weights = torch.cat(scores, dim=-1).softmax(dim=-1).to(v.dtype)
    return weights @ spread(torch.cat([values for *_, values, _ in reached], dim=2), weights.shape[1])


def pair_mask(view: View, queries: Places, keys: Places, position: Position, num_heads: int) -> Tensor:
    """Return bool [1 or B, 1, Q, K], or float32 [B, H, Q, K] where `position` has a bias, for torch's kernel."""
    visible = seen(view, queries, keys)
    bias = position.bias(view.turn_queries(queries.positions), view.turn_keys(keys.positions), num_heads)
    return visible if bias is None else bias.masked_fill(~visible, float("-inf"))


def view_scores(view: View, q: Tensor, k: Tensor, queries: Places, keys: Places, position: Position) -> Tensor:
    """Return the logits [B, H, Q, K] of `view` in float32, with what it doesn't see at minus infinity."""
    scores: Tensor = (q @ spread(k, q.shape[1]).transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    mask = pair_mask(view, queries, keys, position, q.shape[1])
    return scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask


def spread(heads: Tensor, num_heads: int) -> Tensor:
    """Return the key-value `heads` [B, G, K, D] repeated for the heads that share them [B, H, K, D]."""
    return heads.repeat_interleave(num_heads // heads.shape[1], dim=1)


def seen(view: View, queries: Places, keys: Places) -> Tensor:
    """Return bool [1 or B, 1, Q, K]: the pair is one of `view` and of one document."""
    visible = view.visible(queries, keys)
    if queries.documents is None or keys.documents is None:
        return visible
    together: Tensor = visible & (queries.documents[:, None, :, None] == keys.documents[:, None, None, :])
    return together


def columns(view: View, start: int, stop: int, *, has_documents: bool) -> tuple[int, int]:
    """Return the first column and the last (exclusive) that queries at columns `start` up to `stop` reach in `view`."""
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
        count = torch.zeros((), dtype=torch.int64, device=queries.columns.device)
        for view in views:
            count = count + seen(view, here, keys).sum(dim=-1)[:, 0]
        counts.append(count)
    return torch.cat(counts, dim=1)
