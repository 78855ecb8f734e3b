"""How queries, keys and values become outputs: the kernel is chosen here, from the views' reach and the bias.

Shapes: B batch, H heads, G key-value heads, Q queries, K keys (the queries stand in its last Q columns), D head width.
"""

from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as attend

from ctxext.kernels.norm import at_least_float32
from ctxext.places import Places
from ctxext.seams import Position, View, unmoved

BLOCK = 256
"""Queries scored at once: no mask or bias is ever larger than BLOCK x K."""

Source = tuple[View, Tensor, Tensor, Tensor]
"""A view with queries [B, H, Q, D] and keys [B, G, K, D] as it turns them, and the values [B, G, K, D] behind these."""


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
    `scale` [1 or B, 1 or H, Q] multiplies the logits of each query.
    """
    if scale is not None:
        q = (at_least_float32(q) * scale[..., None]).to(q.dtype)  # rounded once: in bfloat16 most scales are alike
    num_keys = k.shape[2]
    views = tuple(view for view in views if view.reach.beyond < num_keys)
    if sees_all(views, queries) and q.shape[2] in (1, num_keys) and not is_biased(position):
        q, k = position.rotate(q, queries), position.rotate_keys(k, keys)
        return attend(q, k, v, is_causal=q.shape[2] > 1, enable_gqa=q.shape[1] != k.shape[1])
    return gather_from([turned(view, q, k, v, queries, keys, position) for view in views], queries, keys, position)


def turned(view: View, q: Tensor, k: Tensor, v: Tensor, queries: Places, keys: Places, position: Position) -> Source:
    """Return `view` with queries and keys turned to where it scores them."""
    turned_q = position.rotate(q, queries.at(view.turn_queries(queries)))
    return view, turned_q, position.rotate_keys(k, keys.at(view.turn_keys(keys))), v


def gather_from(sources: list[Source], queries: Places, keys: Places, position: Position) -> Tensor:
    """Return the outputs [B, H, Q, D] of one softmax over all pairs of the views of `sources`."""
    count = queries.columns.shape[0]
    starts = range(0, count, BLOCK)
    score = in_context if is_contextual(position) else one_block
    blocks = [score(sources, queries, keys, position, start, min(start + BLOCK, count)) for start in starts]
    return torch.cat(blocks, dim=2)


def is_plain_causal(views: tuple[View, ...], queries: Places, num_keys: int) -> bool:
    """Return whether `views` are the whole past of single-document rows, and the queries those of all keys."""
    return queries.columns.shape[0] == num_keys and sees_all(views, queries)


def sees_all(views: tuple[View, ...], queries: Places) -> bool:
    """Return whether `views` are the whole past of single-document rows, with every head where its token stands.

    The row's size counts, and not the keys: a cache may have dropped what is out of reach.
    """
    if len(views) != 1 or queries.documents is not None:
        return False
    view, reach = views[0], views[0].reach
    whole = reach.tag == "causal" or (reach.tag == "band" and reach.size >= queries.size)
    unturned = view.turn_queries is unmoved and view.turn_keys is unmoved
    return whole and reach.is_whole and reach.beyond == 0 and unturned and view.weigh is None and not view.cap


def is_biased(position: Position) -> bool:
    """Return whether `position` adds anything to the logits."""
    return type(position).bias is not Position.bias or is_contextual(position)


def is_contextual(position: Position) -> bool:
    """Return whether what `position` adds to the logits depends on them."""
    return type(position).contextual_bias is not Position.contextual_bias


def one_block(
    sources: list[Source], queries: Places, keys: Places, position: Position, start: int, stop: int
) -> Tensor:
    """Return the outputs [B, H, stop - start, D] of the queries from `start` up to `stop` over what they reach."""
    offset = keys.columns.shape[0] - queries.columns.shape[0]
    here = queries.part(start, stop)
    reached = []
    for view, q, k, v in sources:
        first, last = columns(view, offset + start, offset + stop, has_documents=queries.documents is not None)
        if first < last:
            there = keys.part(first, last)
            reached.append((view, q[:, :, start:stop], k[:, :, first:last], v[:, :, first:last], there))
    view, q, k, values, there = reached[0]
    # In bfloat16 torch would round the bias, which is wrong from distance 256 on.
    is_exact = q.dtype == torch.float32 or not (is_biased(position) or view.weigh)
    if len(reached) == 1 and is_exact and not view.cap:
        mask = pair_mask(view, here, there, position, q.shape[1])
        return attend(q, k, values, attn_mask=mask, enable_gqa=q.shape[1] != k.shape[1])
    scores = [view_scores(view, q, k, here, there, position) for view, q, k, _, there in reached]
    weights = torch.cat(scores, dim=-1).softmax(dim=-1).to(v.dtype)
    return weights @ spread(torch.cat([values for *_, values, _ in reached], dim=2), weights.shape[1])


def in_context(
    sources: list[Source], queries: Places, keys: Places, position: Position, start: int, stop: int
) -> Tensor:
    """Return what `one_block` returns, where `position` adds what depends on the logits of all views, in their order.

    So these are laid into one row by column; no pair is in two views.
    """
    here, first = queries.part(start, stop), sources[0][1][:, :, start:stop]
    logits, sight = torch.zeros((), device=first.device), torch.zeros((), dtype=torch.bool, device=first.device)
    visible = [seen(view, here, keys) for view, *_ in sources]
    for shown, (view, q, k, _) in zip(visible, sources, strict=True):
        logits = torch.where(shown, view_scores(view, q[:, :, start:stop], k, here, keys, position), logits)
        sight = sight | shown
    added = position.contextual_bias(first, logits, sight)
    assert added is not None
    weights = (logits + added).masked_fill(~sight, float("-inf")).softmax(dim=-1)
    gathered = [
        (weights * shown).to(v.dtype) @ spread(v, first.shape[1])
        for shown, (*_, v) in zip(visible, sources, strict=True)
    ]
    return torch.stack(gathered).sum(dim=0)


def pair_mask(view: View, queries: Places, keys: Places, position: Position, num_heads: int) -> Tensor:
    """Return bool [1 or B, 1 or H, Q, K], or float32 of this shape where anything is added to the logits."""
    visible = seen(view, queries, keys)
    added = [
        position.bias(queries.at(view.turn_queries(queries)), keys.at(view.turn_keys(keys)), num_heads),
        None if view.weigh is None else view.weigh(queries, keys),
    ]
    biases = [bias for bias in added if bias is not None]
    if not biases:
        return visible
    return reduce(torch.add, biases).masked_fill(~visible, float("-inf"))


def view_scores(view: View, q: Tensor, k: Tensor, queries: Places, keys: Places, position: Position) -> Tensor:
    """Return the logits [B, H, Q, K] of `view` in float32, with what it doesn't see at minus infinity."""
    scores: Tensor = (q @ spread(k, q.shape[1]).transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    if view.cap:
        scores = (scores / view.cap).tanh() * view.cap
    mask = pair_mask(view, queries, keys, position, q.shape[1])
    return scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask


def spread(heads: Tensor, num_heads: int) -> Tensor:
    """Return the key-value `heads` [B, G, K, D] repeated for the heads that share them [B, H, K, D]."""
    return heads.repeat_interleave(num_heads // heads.shape[1], dim=1)


def seen(view: View, queries: Places, keys: Places) -> Tensor:
    """Return bool [1 or B, 1 or H, Q, K]: the pair is one of `view` and of one document."""
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
    """Return how many keys each query sees over all `views`, int64 [1 or B, 1 or H, Q]."""
    return reduce(torch.add, (keys_of(view, queries, keys) for view in views))


def keys_of(view: View, queries: Places, keys: Places) -> Tensor:
    """Return how many keys each query sees in `view`, int64 [1 or B, 1 or H, Q]."""
    reach = view.reach
    if reach.is_full:
        apart = queries.documents is not None and keys.documents is not None
        past = queries.ordinals[:, None] + 1 if apart else queries.columns[None, None] + 1
        return past.clamp(max=reach.size) if reach.tag == "band" else past
    starts = range(0, queries.columns.shape[0], BLOCK)
    return torch.cat([seen(view, queries.part(i, i + BLOCK), keys).sum(dim=-1) for i in starts], dim=2)
