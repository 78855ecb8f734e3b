"""What the parts of a run do, told from the hooks that they override, so that a member yet to be written is judged too.

Nothing is trained or built here: the last queries of a text are asked what they see, and at which distances.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from ctxext.attention.softmax import Softmax
from ctxext.config.folders import option_of
from ctxext.config.schema import Run
from ctxext.mask.document import IntraDocument
from ctxext.places import Places, distances, unmoved
from ctxext.seams import Mask, Sizes, View

WHOLE = ("document", "causal")
"""The masks that show the whole past of a document."""
ROWS = 16
"""How many queries at the end of a text stand for all: a window hides from these first."""


def option(run: Run, slot: str) -> str:
    """Return the option of `run` that fills `slot`."""
    return named(slot, getattr(run, slot))


def named(slot: str, member: object) -> str:
    """Return the option of `slot` that stands for `member`."""
    kind = type(member)
    return option_of(slot, {"_target_": f"{kind.__module__}.{kind.__qualname__}", **vars(member)})


def chosen(run: Run, slot: str) -> str:
    """Return what fills `slot` as one would choose it: `position=yarn`."""
    return f"{slot}={option(run, slot)}"


def numbers(run: Run, slot: str) -> str:
    """Return the settings of what fills `slot` as one would type them: `mask.window=128`."""
    member = getattr(run, slot)
    typed = ", ".join(f"{slot}.{field.name}={getattr(member, field.name)}" for field in fields(member))
    return f"{chosen(run, slot)} with {typed}" if typed else chosen(run, slot)


def longest(run: Run) -> int:
    """Return the longest length of `run` in tokens."""
    return max(run.context_length, *run.evaluation.lengths)


def in_layers(run: Run, member: Any) -> list[Any]:
    """Return `member` as it acts in the layers of the model, like ones once; what it learns is narrow."""
    part, count = grown(run, member), sizes_of(run).num_hidden_layers
    found: list[Any] = []
    for index in range(count):
        layer = part.layer(index, count)
        if layer not in found:
            found.append(layer)
    return found


def grown(run: Run, member: Any) -> Any:
    """Return `member` with what it learns in the model of `run`, made narrow, without touching the run's draws."""
    with torch.random.fork_rng(devices=[]):
        part = member.grown(replace(sizes_of(run), hidden_size=8), None)
    return part.requires_grad_(False) if isinstance(part, nn.Module) else part


def sizes_of(run: Run) -> Sizes:
    """Return the sizes of the model of `run`, the least for one without heads."""
    sizes: Sizes = getattr(run.model, "sizes", Sizes(2, 1, 1, 1, 2))
    return sizes


def overrides(members: Sequence[object], family: type, *hooks: str) -> bool:
    """Return whether any of `members` has one of the `hooks` of `family` for its own."""
    return any(getattr(type(member), hook) is not getattr(family, hook) for member in members for hook in hooks)


def end_of(length: int) -> tuple[Places, Places]:
    """Return the last queries of a text of `length` tokens, and all its keys."""
    keys = Places.of(torch.arange(length)[None])
    return keys.part(max(length - ROWS, 0), length), keys


def scored_distances(view: View, queries: Places, keys: Places) -> Tensor:
    """Return the distances at which `view` scores each query and key [B, 1, Q, K], seen or not."""
    return view.turn_queries(queries)[:, None, :, None] - view.turn_keys(keys)[:, None, None, :]


def moves(view: View, queries: Places, keys: Places) -> bool:
    """Return whether `view` scores a pair that it sees at another distance than its own."""
    if view.turn_queries is unmoved and view.turn_keys is unmoved:
        return False
    is_moved = scored_distances(view, queries, keys) != scored_distances(View(view.visible), queries, keys)
    return bool((is_moved & view.visible(queries, keys)).any())


def added(views: Sequence[View], queries: Places, keys: Places) -> Tensor:
    """Return what `views` add to the logits of the pairs that they see [1 or B, 1 or H, Q, K], 0 elsewhere."""
    total = torch.zeros(())
    for view in views:
        if view.weigh is not None:
            total = total + view.weigh(queries, keys).where(view.visible(queries, keys), 0)
    return total


def shows_all(views: Sequence[View], queries: Places, keys: Places) -> bool:
    """Return whether `views` show `queries` their whole past among `keys`, each pair as it is."""
    seen = torch.zeros((), dtype=torch.bool)
    for view in views:
        seen = seen | view.visible(queries, keys)
    whole = bool((seen == (distances(queries, keys) >= 0)).all())
    is_moved = any(moves(view, queries, keys) for view in views)
    return whole and not is_moved and not added(views, queries, keys).any()


@torch.no_grad()
def hides(run: Run, length: int) -> bool:
    """Return whether the mask of `run` reads a text of `length` tokens in another way than the whole past would."""
    places = end_of(length)
    return not all(shows_all(mask.views(), *places) for mask in in_layers(run, run.mask))


def narrows(run: Run) -> bool:
    """Return whether training narrows the mask of `run` even while it hides nothing: then its penalty alone does."""
    penalty = grown(run, run.mask).penalty()
    return run.trainer.steps > 0 and penalty is not None and float(penalty) > 0


@torch.no_grad()
def remaps(run: Run, slot: str) -> bool:
    """Return whether the mask or the attention in `slot` scores pairs at other distances, at the longest length."""
    places = end_of(longest(run))
    if slot == "mask":
        views = [view for mask in in_layers(run, run.mask) for view in mask.views()]
    else:
        views = [view for layer in in_layers(run, run.attention) for view in scored(layer, IntraDocument())]
    return any(moves(view, *places) for view in views)


def scored(attention: Any, mask: Mask) -> tuple[View, ...]:
    """Return the views of `mask` as `attention` scores them."""
    return attention.views(mask) if isinstance(attention, Softmax) else mask.views()


@torch.no_grad()
def acts(run: Run, mask: Mask) -> bool:
    """Return whether the attention of `run` differs from softmax under `mask`, at the longest length."""
    places = end_of(longest(run))
    masks = in_layers(run, mask)
    return any(differs(layer, mask, *places) for layer in in_layers(run, run.attention) for mask in masks)


def differs(attention: Any, mask: Mask, queries: Places, keys: Places) -> bool:
    """Return whether `attention` gathers otherwise than softmax what `mask` shows `queries` of `keys`."""
    if type(attention).gather is not Softmax.gather:
        return True
    views = attention.views(mask)
    scale = attention.scale(queries, keys, views)
    is_scaled = scale is not None and bool((scale != 1).any())
    moved = [sum(moves(view, queries, keys) for view in part) for part in (views, mask.views())]
    is_weighed = bool((added(views, queries, keys) != added(mask.views(), queries, keys)).any())
    is_capped = any(view.cap for view in views)
    return is_scaled or is_weighed or is_capped or moved[0] != moved[1]


@torch.no_grad()
def reach(run: Run) -> int:
    """Return up to which length, at most the target, `run` scores no distance that the base hasn't seen."""
    low, high = 0, run.context_length
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if farthest(run, middle) < run.base.trained_length else (low, middle - 1)
    return low


def farthest(run: Run, length: int) -> float:
    """Return the largest distance at which `run` scores a pair of the last query in a text of `length` tokens."""
    keys = Places.of(torch.arange(length)[None])
    query = keys.part(length - 1, length)
    layers = [(layer, mask) for layer in in_layers(run, run.attention) for mask in in_layers(run, run.mask)]
    views = [view for layer, mask in layers for view in scored(layer, mask)]
    return max(float((scored_distances(view, query, keys) * view.visible(query, keys)).max()) for view in views)
