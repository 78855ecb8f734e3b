"""Attention alone: window, ALiBi and Self-Extend against dense causal attention, and how they grow with the text.

Shapes: H heads, T tokens, D head width; every q, k, v is [1, H, T, D] in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from benchmarks.apart import apart, taken_by
from benchmarks.clock import Work, alone, in_turn, largest_difference
from benchmarks.findings import Part, Table, agree, exponent, exponents, middle, ratios
from benchmarks.scale import Scale
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places
from ctxext.position.alibi import Alibi, slopes
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope
from ctxext.seams import Attention, Heads, Mask, Position

WIDTH, CHECKED = 64, 2048
GROUP = 8
ONCE = 8192
"""Shorter texts are read several times in a repetition, so that as many tokens are read."""


class Composition(NamedTuple):
    """What fills the three seams."""

    position: Position
    mask: Mask
    attention: Attention


def dense(position: Position) -> Composition:
    """Return plain causal attention with `position`."""
    return Composition(position, IntraDocument(), Softmax())


def heads(count: int, length: int) -> Heads:
    """Return random queries, keys and values of `count` heads, the same each time."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, count, length, WIDTH, requires_grad=True) for _ in range(3))
    return Heads(q, k, v, (), q.new_empty(1, length, 0), refused)


def refused(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Refuse to make heads of states, which there are none of."""
    raise TypeError("there are no states behind these heads")


def gathered(chosen: Composition, given: Heads) -> Tensor:
    """Return what `chosen` gathers from the heads `given` [1, H, T, D], as in a layer of its own."""
    places = Places.of(torch.arange(given.q.shape[2])[None])
    chosen.position.prepare(places, given.q)
    return chosen.attention.gather(given, places, places, chosen.position, chosen.mask)


def forward(chosen: Composition, given: Heads) -> Work:
    """Return the forward pass alone."""

    def work() -> Tensor:
        with torch.no_grad():
            return gathered(chosen, given)

    return work


def both_ways(chosen: Composition, given: Heads) -> Work:
    """Return the forward and backward pass, with gradients for queries, keys and values."""
    direction = torch.randn(given.q.shape)
    return lambda: torch.autograd.grad(gathered(chosen, given), (given.q, given.k, given.v), direction)


def measured(scale: Scale) -> Part:
    """Return how windows grow, and what window, ALiBi and Self-Extend take against dense attention."""
    alone()
    found = Part()
    check(scale)
    growth(scale, found)
    for key, chosen, other, length, way in (
        ("window_dense", windowed(scale), dense(Nope()), scale.against_dense, both_ways),
        ("alibi", Composition(Alibi(), *dense(Nope())[1:]), dense(Nope()), scale.biased, both_ways),
        ("self_extend", extended(scale), dense(Rope(10000.0)), scale.against_dense, forward),
    ):
        against(key, chosen, other, length, way, scale, found)
    memory(scale, found)
    return found


def windowed(scale: Scale) -> Composition:
    """Return a sliding window without positions."""
    return Composition(Nope(), SlidingWindow(scale.window), Softmax())


def extended(scale: Scale) -> Composition:
    """Return Self-Extend over rotary positions, exact up to twice the window."""
    return Composition(Rope(10000.0), IntraDocument(), SelfExtend(2 * scale.window, GROUP))


def growth(scale: Scale, found: Part) -> None:
    """Add to `found` how the time of a window grows with the text."""
    given = {length: heads(scale.heads, length) for length in scale.lengths}
    times = {length: max(1, ONCE // length) for length in scale.lengths}
    lines = []
    for key, way in (("window_forward", forward), ("window_both", both_ways)):
        sides = {length: way(windowed(scale), given[length]) for length in scale.lengths}
        taken = in_turn(sides, scale.repetitions, times)
        found.add(key, exponents(taken))
        name = "forward" if way is forward else "forward and backward"
        lines.append([name, *(middle(taken[length]) for length in scale.lengths)])
    title = f"Window {scale.window}, {scale.heads} heads of {WIDTH}, CPU ms by length"
    found.tables.append(Table(title, ["", *map(str, scale.lengths)], lines))


def against(
    key: str,
    chosen: Composition,
    other: Composition,
    length: int,
    way: Callable[[Composition, Heads], Work],
    scale: Scale,
    found: Part,
) -> None:
    """Add to `found` the time of `chosen` over that of `other`, which is dense, at `length`."""
    given = heads(scale.heads, length)
    times = in_turn({"chosen": way(chosen, given), "dense": way(other, given)}, scale.repetitions)
    found.add(key, ratios(times["chosen"], times["dense"]))
    name = "forward" if way is forward else "forward and backward"
    title = f"{key} at {length}, {name}, {scale.heads} heads of {WIDTH}, CPU ms"
    found.tables.append(Table(title, ["chosen", "dense"], [[middle(times["chosen"]), middle(times["dense"])]]))


def memory(scale: Scale, found: Part) -> None:
    """Add to `found` how the memory of Self-Extend's forward pass grows, each length in a fresh process."""
    taken = [float(apart("attention.extra_bytes", scale.heads, scale.window, length)) for length in scale.extended]
    found.add("self_extend_memory", [exponent(scale.extended, taken)])
    row = ["extra MiB", *(f"{amount / 2**20:.0f}" for amount in taken)]
    found.tables.append(Table("Self-Extend, forward, memory by length", ["", *map(str, scale.extended)], [row]))


def extra_bytes(count: int, window: int, length: int) -> int:
    """Return the bytes that Self-Extend's forward pass takes beside queries, keys and values."""
    alone()
    chosen = Composition(Rope(10000.0), IntraDocument(), SelfExtend(2 * window, GROUP))
    forward(chosen, heads(count, 256))()
    return taken_by(forward(chosen, heads(count, length)))


def check(scale: Scale) -> None:
    """Stop in words if what is timed gathers other values or gradients than PyTorch does with the whole mask."""
    given = heads(scale.heads, CHECKED)
    q, k, v = given.q, given.k, given.v
    distance = torch.arange(CHECKED)[:, None] - torch.arange(CHECKED)
    past = torch.where(distance >= 0, 0.0, float("-inf"))
    near = past.masked_fill(distance >= scale.window, float("-inf"))[None, None]
    lines = past - torch.tensor(slopes(scale.heads))[None, :, None, None] * distance
    expected: dict[str, tuple[Composition, Callable[[], Tensor]]] = {
        "dense": (dense(Nope()), lambda: scaled_dot_product_attention(q, k, v, is_causal=True)),
        "window": (windowed(scale), lambda: scaled_dot_product_attention(q, k, v, attn_mask=near)),
        "ALiBi": (
            Composition(Alibi(), *dense(Nope())[1:]),
            lambda: scaled_dot_product_attention(q, k, v, attn_mask=lines),
        ),
        "Self-Extend": (extended(scale), lambda: by_definition(given, 2 * scale.window, past)),
    }
    direction = torch.randn(q.shape)
    for name, (chosen, plainly) in expected.items():
        ours, theirs = gathered(chosen, given), plainly()
        agree(f"{name}: the outputs", largest_difference(ours, theirs), 1e-4)
        both: list[Any] = [torch.autograd.grad(each, (q, k, v), direction) for each in (ours, theirs)]
        for mine, other in zip(*both, strict=True):
            agree(f"{name}: the gradients", largest_difference(mine, other), 1e-3)


def by_definition(given: Heads, window: int, past: Tensor) -> Tensor:
    """Return what Self-Extend gathers by the paper's formula, with all scores at once."""
    position, at = Rope(10000.0), torch.arange(CHECKED)[None]
    scores = []
    for queries, keys in ((at, at), (at // GROUP + window - window // GROUP, at // GROUP)):
        turned_q, turned_k = position.rotate(given.q, Places.of(queries)), position.rotate(given.k, Places.of(keys))
        scores.append(turned_q @ turned_k.transpose(-1, -2) * WIDTH**-0.5)
    is_near = at[0][:, None] - at[0] < window
    near, far = scores
    weights: Tensor = (torch.where(is_near, near, far) + past).softmax(dim=-1)
    return weights @ given.v
