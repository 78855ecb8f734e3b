"""Who sees whom, and at which distance, by the published formulas: written a second time, sharing nothing with members.

Shapes: H heads, Q queries, K keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ctxext.maths.counted import generator
from ctxext.proving.known import formula_of

Array = Any
"""An array of numpy, of integers, fractions or truths."""


class Pairs(NamedTuple):
    """All pairs of `queries` [Q, 1] and `keys` [1, K], counted from their document's beginning, in a `layer`.

    It is one of `layers` and has `heads`; `shares` [H] are what those have learned, if the method learns a span.
    """

    queries: Array
    keys: Array
    layer: int
    layers: int
    heads: int
    shares: Array | None

    @property
    def before(self) -> Array:
        """How many tokens the key stands before the query [Q, K]."""
        return self.queries - self.keys


Predicate = Callable[[Any, Pairs], Array]
"""From settings and pairs to bool [Q, K] or [H, Q, K], or to distances [Q, K]."""


def visible(mask: object, pairs: Pairs) -> Array | None:
    """Return which of `pairs` the formula of `mask` shows, bool [1 or H, Q, K]; None where there is none."""
    formula = formula_of(mask, SHOWN)
    return None if formula is None else by_heads((pairs.before >= 0) & formula(mask, pairs))


def restricted(attention: object, pairs: Pairs, mode: str) -> Array | None:
    """Return which of `pairs` the formula of `attention` leaves as the network stands in `mode`, bool [1 or H, Q, K].

    None where it has none that restricts.
    """
    formula = formula_of(attention, RESTRICTED_IN_TRAINING if mode else RESTRICTED)
    return None if formula is None else by_heads(formula(attention, pairs))


def distance(mask: object, attention: object, pairs: Pairs) -> Array | None:
    """Return at which distance `pairs` are scored by the formulas of `mask` and `attention` [Q, K].

    None where the mask has no formula, or where both rearrange the pairs.
    """
    known = [(member, formula_of(member, SCORED)) for member in (mask, attention)]
    formulas = [(member, found) for member, found in known if found is not None and found is not in_place]
    if formula_of(mask, SHOWN) is None or len(formulas) > 1:
        return None
    return pairs.before if not formulas else formulas[0][1](formulas[0][0], pairs)


def by_heads(pairs: Array) -> Array:
    """Return `pairs` [Q, K] as alike in all heads [1, Q, K]; those that are told by head as they are."""
    return pairs if pairs.ndim == 3 else pairs[None]


def everything(mask: Any, pairs: Pairs) -> Array:
    """Return that all is shown."""
    return np.ones_like(pairs.before, dtype=bool)


def in_window(mask: Any, pairs: Pairs) -> Array:
    """Return q - k < W."""
    return pairs.before < mask.window


def in_chunk(mask: Any, pairs: Pairs) -> Array:
    """Return floor(q / c) = floor(k / c)."""
    return pairs.queries // mask.chunk == pairs.keys // mask.chunk


def on_grid(mask: Any, pairs: Pairs) -> Array:
    """Return q - k < W r and (q - k) mod r = 0, where the r are dealt to the heads in turn."""
    rates = np.array([mask.dilations[head % len(mask.dilations)] for head in range(pairs.heads)])[:, None, None]
    return (pairs.before < mask.window * rates) & (pairs.before % rates == 0)


def in_blocks(mask: Any, pairs: Pairs) -> Array:
    """Return window, first tokens, and the blocks recorded for the query's block between the two."""
    found = (pairs.before < mask.window) | (pairs.keys < mask.global_tokens)
    size = mask.block
    for block in np.unique(pairs.queries // size).tolist() if mask.random_blocks else ():
        between = [
            other
            for other in range(block)
            if other * size >= mask.global_tokens and block * size - (other * size + size - 1) >= mask.window
        ]
        if between:
            draw = generator(mask.seed + pairs.layer, "random blocks", block)
            drawn = draw.choice(between, min(mask.random_blocks, len(between)), replace=False)
            found = found | ((pairs.queries // size == block) & np.isin(pairs.keys // size, drawn))
    return found


def by_letter(mask: Any, pairs: Pairs) -> Array:
    """Return the window, the chunk or the whole past of the layer's letter; sizes grow over the narrow layers."""
    letters = mask.pattern[-pairs.layers :]
    letters = [letters[layer % len(letters)] for layer in range(pairs.layers)]
    if letters[pairs.layer] == "L":
        return everything(mask, pairs)
    narrow = [layer for layer in range(pairs.layers) if letters[layer] != "L"]
    share = narrow.index(pairs.layer) / max(len(narrow) - 1, 1)
    first, last = mask.window, mask.last_window
    exact = first * (last / first) ** share if mask.schedule == "geometric" else first + (last - first) * share
    size = round(exact)
    is_window = letters[pairs.layer] == "S"
    return pairs.before < size if is_window else pairs.queries // size == pairs.keys // size


def in_growing_window(mask: Any, pairs: Pairs) -> Array:
    """Return q - k < L ((q + 1) / L)^gamma, and all up to the trained length L."""
    count, trained = pairs.queries + 1, mask.trained_length
    # What should be whole may come out a rounding error above it.
    width = trained * (count / trained) ** mask.gamma * (1 - 1e-12)
    return (count <= trained) | (pairs.before < width) | (mask.gamma == 1)


def in_span(mask: Any, pairs: Pairs) -> Array:
    """Return R + u_h - (q - k) > 0 for the span u_h that each head has learned."""
    assert pairs.shares is not None
    spans = np.clip(pairs.shares.astype(np.float64), 0, 1) * mask.max_span
    return mask.ramp + spans[:, None, None] - pairs.before > 0


def in_shifted_group(attention: Any, pairs: Pairs) -> Array:
    """Return that both are of one group, whose borders lie half a group earlier for the second half of the heads."""
    is_shifted = np.arange(pairs.heads) >= pairs.heads - pairs.heads // 2
    shifts = (is_shifted * (attention.group // 2))[:, None, None]
    return (pairs.queries + shifts) // attention.group == (pairs.keys + shifts) // attention.group


def in_memory(attention: Any, pairs: Pairs) -> Array:
    """Return that the key is of the query's segment, or of the M tokens before it."""
    return pairs.keys >= pairs.queries // attention.segment * attention.segment - attention.memory


def in_place(attention: Any, pairs: Pairs) -> Array:
    """Return the distance itself: the cap acts on logits."""
    return pairs.before


def by_slot(mask: Any, pairs: Pairs) -> Array:
    """Return min(q, sinks + W - 1) - j for the sinks j, and the distance for all others."""
    slots = np.minimum(pairs.queries, mask.sinks + mask.window - 1) - pairs.keys
    return np.where(pairs.keys < mask.sinks, slots, pairs.before)


def under_ceiling(mask: Any, pairs: Pairs) -> Array:
    """Return min(distance, W) for the first tokens, and the distance for all others."""
    return np.where(pairs.keys < mask.global_tokens, np.minimum(pairs.before, mask.window), pairs.before)


def by_group(attention: Any, pairs: Pairs) -> Array:
    """Return floor(q / G) + W - floor(W / G) - floor(k / G) from distance W on."""
    size, window = attention.group, attention.window
    far = pairs.queries // size + window - window // size - pairs.keys // size
    return np.where(pairs.before < window, pairs.before, far)


def rectified(attention: Any, pairs: Pairs) -> Array:
    """Return w + leak (distance - w) from distance w on."""
    beyond = np.maximum(pairs.before - attention.window, 0)
    return np.minimum(pairs.before, attention.window) + attention.leak * beyond


def by_chunk(attention: Any, pairs: Pairs) -> Array:
    """Return q' - k mod c, q' by the chunks of c between: q mod c, min(q mod c + c, chunk), chunk."""
    size = attention.chunk - attention.local
    between = pairs.queries // size - pairs.keys // size
    own = pairs.queries % size
    turned = [own, np.minimum(own + size, attention.chunk), attention.chunk]
    return np.select([between <= 0, between == 1], turned[:2], turned[2]) - pairs.keys % size


SHOWN: dict[str, Predicate] = {
    "mask.adaptive_span.AdaptiveSpan": in_span,
    "mask.adaptive_window.AdaptiveWindow": in_growing_window,
    "mask.causal.Causal": everything,
    "mask.chunked.Chunked": in_chunk,
    "mask.dilated.Dilated": on_grid,
    "mask.document.IntraDocument": everything,
    "mask.global_local.GlobalLocal": in_blocks,
    "mask.lambda_mask.LambdaMask": lambda mask, pairs: in_window(mask, pairs) | (pairs.keys < mask.global_tokens),
    "mask.layered.Layered": by_letter,
    "mask.sinks.Sinks": lambda mask, pairs: in_window(mask, pairs) | (pairs.keys < mask.sinks),
    "mask.sliding_window.SlidingWindow": in_window,
}
RESTRICTED: dict[str, Predicate] = {
    "attention.gated.Gated": everything,
    "attention.recurrence.Recurrence": in_memory,
    "attention.shifted_sparse.ShiftedSparse": everything,
    "attention.ssmax.Ssmax": everything,
}
RESTRICTED_IN_TRAINING: dict[str, Predicate] = RESTRICTED | {"attention.shifted_sparse.ShiftedSparse": in_shifted_group}
SCORED: dict[str, Predicate] = {
    "attention.dual_chunk.DualChunk": by_chunk,
    "attention.rerope.Rerope": rectified,
    "attention.self_extend.SelfExtend": by_group,
    "attention.softcap.SoftCap": in_place,
    "mask.lambda_mask.LambdaMask": under_ceiling,
    "mask.sinks.Sinks": by_slot,
}
