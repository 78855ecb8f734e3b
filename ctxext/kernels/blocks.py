"""One softmax by blocks of queries, for whatever is added to the logits, and in any type.

Shapes: B batch, H heads, G key-value heads, Q queries, K keys (the queries are the last Q of them), D head width.

This is the plain form. Scores are made for a block at a time; for gradients they are not kept, but made again.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as attend
from torch.utils.checkpoint import checkpoint as recomputed

from ctxext.kernels.fused import spread
from ctxext.kernels.tiles import columns, pair_mask, seen
from ctxext.places import Places
from ctxext.seams import Position, View

BLOCK = 256
"""Queries scored at once: no mask or bias is ever larger than BLOCK x K."""

Part = Tensor | tuple[Tensor, ...]
"""Heads whole, or in pieces of BLOCK tokens."""
Source = tuple[View, Tensor, Tensor, Tensor]
"""A view with queries [B, H, Q, D] and keys [B, G, K, D] as it turns them, and the values [B, G, K, D] behind these."""
Cut = tuple[View, Part, Part, Part]
"""The same, of which blocks are cut."""
Score = Callable[[Sequence[Cut], Places, Places, Position, int, int], Tensor]
"""From sources, queries, keys and a position to the outputs of the queries between two indices."""


def by_blocks(score: Score, sources: list[Source], queries: Places, keys: Places, position: Position) -> Tensor:
    """Return the outputs [B, H, Q, D] of one softmax over all pairs of `sources`, each block's as by `score`."""
    count, cut = queries.columns.shape[0], list[Cut](sources)
    if count > BLOCK and torch.is_grad_enabled():
        score = partial(recomputed, score, use_reentrant=False, preserve_rng_state=False)
        cut = [(view, in_pieces(q), in_pieces(k), in_pieces(v)) for view, q, k, v in sources]
    starts = range(0, count, BLOCK)
    blocks = [score(cut, queries, keys, position, start, min(start + BLOCK, count)) for start in starts]
    return torch.cat(blocks, dim=2)


def in_pieces(heads: Tensor) -> tuple[Tensor, ...]:
    """Return `heads` [B, *, S, D] in pieces of BLOCK tokens."""
    pieces: tuple[Tensor, ...] = torch.split(heads, BLOCK, dim=2)
    return pieces


def between(part: Part, first: int, last: int) -> Tensor:
    """Return the tokens [B, *, last - first, D] of `part` from `first` up to `last`.

    Of pieces, those that hold them are joined: the gradient of each slice of a whole would be as large as the whole.
    """
    if isinstance(part, Tensor):
        return part[:, :, first:last]
    start = first // BLOCK
    joined = torch.cat(part[start : -(-last // BLOCK)], dim=2)
    return joined[:, :, first - start * BLOCK : last - start * BLOCK]


def one_block(
    sources: Sequence[Cut], queries: Places, keys: Places, position: Position, start: int, stop: int
) -> Tensor:
    """Return the outputs [B, H, stop - start, D] of the queries from `start` up to `stop` over what they reach."""
    offset = keys.columns.shape[0] - queries.columns.shape[0]
    here = queries.part(start, stop)
    reached = []
    for view, q, k, v in sources:
        first, last = columns(view, offset + start, offset + stop, has_documents=queries.documents is not None)
        if first < last:
            there = keys.part(first, last)
            reached.append((view, between(q, start, stop), between(k, first, last), between(v, first, last), there))
    view, q, k, values, there = reached[0]
    # In bfloat16 torch would round the bias, which is wrong from distance 256 on.
    is_exact = q.dtype == torch.float32 or (type(position).bias is Position.bias and view.weigh is None)
    if len(reached) == 1 and is_exact and not view.cap:
        mask = pair_mask(view, here, there, position, q.shape[1])
        if mask.requires_grad:
            return with_bias(q, k, values, mask)
        return attend(q, k, values, attn_mask=mask, enable_gqa=q.shape[1] != k.shape[1])
    scores = [view_scores(view, q, k, here, there, position) for view, q, k, _, there in reached]
    weights = torch.cat(scores, dim=-1).softmax(dim=-1).to(values.dtype)
    return weights @ spread(torch.cat([values for *_, values, _ in reached], dim=2), weights.shape[1])


def with_bias(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Return the outputs [B, H, Q, D] where `mask` [1 or B, H, Q, K], added to the logits, takes a gradient.

    torch's own way takes a tenth longer, for passes over all pairs that only a query without keys would need.
    """
    keys, values = (spread(part, q.shape[1]).flatten(0, 1) for part in (k, v))
    added = mask.expand(*q.shape[:2], -1, -1).flatten(0, 1)
    weights = torch.baddbmm(added, q.flatten(0, 1), keys.mT, alpha=q.shape[-1] ** -0.5).softmax(dim=-1)
    outputs: Tensor = (weights @ values).view(*q.shape[:3], v.shape[-1])
    return outputs


def in_context(
    sources: Sequence[Cut], queries: Places, keys: Places, position: Position, start: int, stop: int
) -> Tensor:
    """Return what `one_block` returns, where `position` adds what depends on the logits of all views, in their order.

    So these are laid into one row by column; no pair is in two views.
    """
    here, first = queries.part(start, stop), between(sources[0][1], start, stop)
    sources, keys = of_reach(sources, queries, keys, start, stop)
    logits, sight = torch.zeros((), device=first.device), torch.zeros((), dtype=torch.bool, device=first.device)
    visible = [seen(view, here, keys) for view, *_ in sources]
    for shown, (view, q, k, _) in zip(visible, sources, strict=True):
        logits = torch.where(shown, view_scores(view, q, k, here, keys, position), logits)
        sight = sight | shown
    added = position.contextual_bias(first, logits, sight)
    assert added is not None
    weights = (logits + added).masked_fill(~sight, float("-inf")).softmax(dim=-1)
    gathered = [
        (weights * shown).to(v.dtype) @ spread(v, first.shape[1])
        for shown, (*_, v) in zip(visible, sources, strict=True)
    ]
    return torch.stack(gathered).sum(dim=0)


def of_reach(
    sources: Sequence[Cut], queries: Places, keys: Places, start: int, stop: int
) -> tuple[list[Source], Places]:
    """Return `sources` and `keys` with the queries from `start` up to `stop`, and what these reach in any view."""
    offset, is_packed = keys.columns.shape[0] - queries.columns.shape[0], queries.documents is not None
    spans = [columns(view, offset + start, offset + stop, has_documents=is_packed) for view, *_ in sources]
    first, last = min(first for first, _ in spans), max(last for _, last in spans)
    parts = [
        (view, between(q, start, stop), between(k, first, last), between(v, first, last)) for view, q, k, v in sources
    ]
    return parts, keys.part(first, last)


def view_scores(view: View, q: Tensor, k: Tensor, queries: Places, keys: Places, position: Position) -> Tensor:
    """Return the logits [B, H, Q, K] of `view` in float32, with what it doesn't see at minus infinity."""
    scores: Tensor = (q @ spread(k, q.shape[1]).transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    if view.cap:
        scores = (scores / view.cap).tanh() * view.cap
    mask = pair_mask(view, queries, keys, position, q.shape[1])
    return scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
