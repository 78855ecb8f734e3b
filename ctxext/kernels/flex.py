"""FlexAttention for CUDA: what a view shows becomes a condition on a pair, compiled into the kernel.

Shapes: B batch, H heads, G key-value heads, Q queries, K keys, D head width, R blocks of queries.

This has NOT been run on a GPU, nor compiled: torch's CPU kernel takes no gradients, no totals and no such conditions.
What it means is tested on a CPU, uncompiled.
"""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, flex_attention

from ctxext.kernels.blocks import Source
from ctxext.kernels.tiles import columns
from ctxext.places import Places
from ctxext.seams import Position, View

BLOCK = 128
"""Queries and keys to a block; blocks that a view doesn't reach are never looked at."""
failures: list[str] = []
"""Why the kernel couldn't be compiled, if it was tried; it isn't tried again."""

Modifier = Callable[..., Tensor]


def flexed(sources: list[Source], queries: Places, keys: Places, position: Position, scale: float) -> Tensor | None:
    """Return the outputs [B, H, Q, D] of one softmax over all pairs of `sources`, or None where this can't give them.

    `scale` times the products of heads are the logits.
    """
    reason = unfit(sources, position)
    if not reason:
        try:
            found = [scored(source, queries, keys, position, scale) for source in sources]
        except TorchDynamoException as error:
            reason = f"FlexAttention can't be compiled: {str(error).partition(chr(10))[0]}"
            failures.append(reason)
    if reason:
        warnings.warn(f"attention takes the portable path, which is slower: {reason}", stacklevel=2)
        return None
    totals = torch.stack([total for _, total in found])
    shares = (totals - totals.logsumexp(dim=0)).exp()[..., None]
    return torch.stack([outputs for outputs, _ in found]).mul(shares).sum(dim=0).to(sources[0][3].dtype)


def unfit(sources: list[Source], position: Position) -> str:
    """Return why these can't be scored pair by pair, "" where they can."""
    q, kind = sources[0][1], type(position)
    if kind.contextual_bias is not Position.contextual_bias:
        return "what the position adds depends on other pairs"
    if kind.bias is not Position.bias and position.slopes(q.shape[1], q.device) is None:
        return "the position adds more than a multiple of the distance"
    if any(view.weigh for view, *_ in sources):
        return "the mask weighs what it shows"
    return failures[0] if failures else ""


def scored(source: Source, queries: Places, keys: Places, position: Position, scale: float) -> tuple[Tensor, Tensor]:
    """Return the outputs [B, H, Q, D] of `source` alone, and the logarithms of the total weights [B, H, Q]."""
    view, q, k, v = source
    change = score_modifier(view, queries, keys, position.slopes(q.shape[1], q.device))
    blocks, is_grouped = block_mask(view, queries, keys), q.shape[1] != k.shape[1]
    kernel = compiled() if q.is_cuda else flex_attention
    outputs, beside = kernel(q, k, v, change, blocks, scale, is_grouped, return_aux=AuxRequest(lse=True))
    return outputs, beside.lse


@cache
def compiled() -> Any:
    """Return FlexAttention compiled; it is compiled anew for each shape and view."""
    return torch.compile(flex_attention, dynamic=False)


def block_mask(view: View, queries: Places, keys: Places) -> BlockMask:
    """Return the blocks that `view` reaches, and the condition within them, without a look at all Q x K pairs."""
    count, size = queries.columns.shape[0], keys.columns.shape[0]
    first, last = reached(view, queries, keys)
    order = torch.arange(-(-size // BLOCK), device=first.device)
    indices = (first[..., None] + order).clamp(max=order.shape[0] - 1)
    counts, indices = (last - first).clamp(min=0)[:, None].int(), indices[:, None].int()
    condition = mask_modifier(view, queries, keys)
    return BlockMask.from_kv_blocks(counts, indices, BLOCK_SIZE=BLOCK, mask_mod=condition, seq_lengths=(count, size))


def reached(view: View, queries: Places, keys: Places) -> tuple[Tensor, Tensor]:
    """Return the first block of keys and the last (exclusive) for each block of queries [B, R]."""
    count, offset = queries.columns.shape[0], keys.columns.shape[0] - queries.columns.shape[0]
    has_documents = queries.documents is not None
    starts = range(0, count, BLOCK)
    spans = [columns(view, offset + i, offset + min(i + BLOCK, count), has_documents=has_documents) for i in starts]
    bounds = torch.tensor(spans, device=queries.columns.device)
    first, last = bounds[:, 0].expand(queries.positions.shape[0], -1), -(-bounds[:, 1] // BLOCK)
    if has_documents:  # a row's documents rise, so that its first query reaches the farthest
        first = torch.maximum(first, (queries.columns - queries.ordinals)[:, ::BLOCK])
    return first // BLOCK, last.expand(first.shape)


def mask_modifier(view: View, queries: Places, keys: Places) -> Modifier:
    """Return the condition on a pair: it is one of `view` and of one document."""

    ours, theirs = queries.documents, keys.documents

    def is_shown(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        visible = view.visible(single(queries, row, query), single(keys, row, key)).flatten()
        shown = visible[head] if visible.shape[0] > 1 else visible[0]
        is_one = query >= 0 if ours is None or theirs is None else ours[row, query] == theirs[row, key]
        return shown & is_one  # also where it is idle, since a kernel wants a number here and no view of one

    return is_shown


def score_modifier(view: View, queries: Places, keys: Places, slopes: Tensor | None) -> Modifier | None:
    """Return what the logit of a pair becomes by the cap of `view` and by `slopes` [H]; None where it stays."""
    if slopes is None and not view.cap:
        return None
    here, there = queries.turned(view.turn_queries).positions, keys.turned(view.turn_keys).positions

    def changed(logit: Tensor, row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        if view.cap:
            logit = (logit / view.cap).tanh() * view.cap
        return logit if slopes is None else logit - slopes[head] * (here[row, query] - there[row, key])

    return changed


def single(places: Places, row: Tensor, index: Tensor) -> Places:
    """Return the place of the one token at `index` of `row`."""
    documents = places.documents
    return places._replace(
        columns=places.columns[index].view(1),
        positions=places.positions[row, index].view(1, 1),
        documents=None if documents is None else documents[row, index].view(1, 1),
        ordinals=places.ordinals[row, index].view(1, 1),
        lengths=places.lengths[row, index].view(1, 1),
        memo={},
    )
