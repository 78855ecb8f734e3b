"""How queries, keys and values become outputs: the kernel is chosen here, from the views' reach and the bias.

Shapes: B batch, H heads, G key-value heads, Q queries, K keys (the queries stand in its last Q columns), D head width.

The whole past of unpacked rows goes to torch as it is. Whatever else has logits that are q . k and a constant is cut
into tiles, on a CPU. The rest, biases that learn, caps, and what depends on the logits, is scored block by block.
"""

from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as attend

from ctxext.kernels.blocks import Source, by_blocks, in_context, one_block
from ctxext.kernels.folded import SCALE, folded, slopes_to_fold
from ctxext.kernels.norm import at_least_float32
from ctxext.kernels.tiled import tiled
from ctxext.kernels.tiles import BLOCK, pair_mask, seen, tiles_of
from ctxext.kernels.uncompiled import Uncompiled
from ctxext.places import Places, unmoved
from ctxext.seams import Position, View


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
    sources = sources_of(views, q, k, v, queries, keys, position)
    is_bare = not any(view.cap or view.weigh for view in views)
    slopes = slopes_to_fold(position, q) if is_bare else None
    if slopes is None:
        return gather_from(sources, queries, keys, position)
    sources = [straight(source, queries, keys, slopes) for source in sources]
    return by_kernel(sources, queries, keys, Position(), SCALE)[..., : v.shape[-1]]


def straight(source: Source, queries: Places, keys: Places, slopes: Tensor) -> Source:
    """Return `source` with the bias of `slopes` [H] folded into its heads."""
    view, q, k, v = source
    return view, *folded(q, k, v, queries.turned(view.turn_queries), keys.turned(view.turn_keys), slopes)


def sources_of(
    views: tuple[View, ...], q: Tensor, k: Tensor, v: Tensor, queries: Places, keys: Places, position: Position
) -> list[Source]:
    """Return each of `views` with its heads; views that turn alike share them."""
    known: dict[object, Source] = {}
    for view in views:
        turns = view.turn_queries, view.turn_keys
        if turns not in known:
            known[turns] = turned(view, q, k, v, queries, keys, position)
    return [(view, *known[view.turn_queries, view.turn_keys][1:]) for view in views]


def turned(view: View, q: Tensor, k: Tensor, v: Tensor, queries: Places, keys: Places, position: Position) -> Source:
    """Return `view` with queries and keys turned to where it scores them."""
    turned_q = position.rotate(q, queries.turned(view.turn_queries))
    return view, turned_q, position.rotate_keys(k, keys.turned(view.turn_keys)), v


def gather_from(sources: list[Source], queries: Places, keys: Places, position: Position) -> Tensor:
    """Return the outputs [B, H, Q, D] of one softmax over all pairs of the views of `sources`."""
    return by_kernel(sources, queries, keys, position, sources[0][1].shape[-1] ** -0.5)


def by_kernel(sources: list[Source], queries: Places, keys: Places, position: Position, scale: float) -> Tensor:
    """Return what `gather_from` returns, where `scale` times the products of heads are the logits."""
    views, (_, q, k, v) = tuple(view for view, *_ in sources), sources[0]
    if sees_all(views, queries) and q.shape[2] in (1, k.shape[2]) and not is_biased(position):
        return attend(q, k, v, is_causal=q.shape[2] > 1, scale=scale, enable_gqa=q.shape[1] != k.shape[1])
    outputs: Tensor = in_parts(sources, queries, keys, position, scale)
    return outputs


@Uncompiled
def in_parts(sources: list[Source], queries: Places, keys: Places, position: Position, scale: float) -> Tensor:
    """Return what `by_kernel` returns, by tiles or else by blocks, whose scale is that of the width."""
    if sources[0][1].is_cuda and queries.columns.shape[0] >= BLOCK:
        from ctxext.kernels.flex import flexed  # what compiles takes a second to import

        found = flexed(sources, queries, keys, position, scale)
        if found is not None:
            return found
    if is_contextual(position):
        return by_blocks(in_context, sources, queries, keys, position)
    if not all(fits_tiles(view, q, queries, keys, position) for view, q, _, _ in sources):
        return by_blocks(one_block, sources, queries, keys, position)
    plan = [tiles_of(view, queries, keys, position, q) for view, q, _, _ in sources]
    return tiled([(q, k, v) for _, q, k, v in sources], plan, scale)


def fits_tiles(view: View, q: Tensor, queries: Places, keys: Places, position: Position) -> bool:
    """Return whether the logits of `view` are products of `q` [B, H, Q, D] and keys, and a constant at most."""
    if view.cap or q.device.type != "cpu":
        return False
    if view.weigh is None and not is_biased(position):
        return True
    # In bfloat16 torch would round the bias, which is wrong from distance 256 on.
    first = queries.part(0, 1), keys.part(0, 1)
    return q.dtype == torch.float32 and not pair_mask(view, *first, position, q.shape[1]).requires_grad


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
    whole = reach.tag == "causal" or (reach.tag in ("band", "chunk") and reach.size >= queries.size)
    unturned = view.turn_queries is unmoved and view.turn_keys is unmoved
    return whole and reach.is_whole and reach.beyond == 0 and unturned and view.weigh is None and not view.cap


def is_biased(position: Position) -> bool:
    """Return whether `position` adds anything to the logits."""
    return type(position).bias is not Position.bias or is_contextual(position)


def is_contextual(position: Position) -> bool:
    """Return whether what `position` adds to the logits depends on them."""
    return type(position).contextual_bias is not Position.contextual_bias


def visible_keys(queries: Places, keys: Places, views: tuple[View, ...]) -> Tensor:
    """Return how many keys each query sees over all `views`, int64 [1 or B, 1 or H, Q]."""
    return reduce(torch.add, (keys_of(view, queries, keys) for view in views))


def keys_of(view: View, queries: Places, keys: Places) -> Tensor:
    """Return how many keys each query sees in `view`, int64 [1 or B, 1 or H, Q]."""
    reach = view.reach
    if reach.is_full:
        apart = queries.documents is not None and keys.documents is not None
        past = queries.ordinals[:, None] + 1 if apart else queries.columns[None, None] + 1
        if reach.tag == "chunk":
            past = (past - 1) % reach.size + 1
        elif reach.tag == "band":
            past = past.clamp(max=reach.size)
        farther = (past - reach.beyond).clamp(min=0)
        return farther.clamp(max=reach.size) if reach.tag == "head" else farther
    starts = range(0, queries.columns.shape[0], BLOCK)
    return torch.cat([seen(view, queries.part(i, i + BLOCK), keys).sum(dim=-1) for i in starts], dim=2)
