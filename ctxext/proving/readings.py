"""Two ways of reading the same tokens that must agree, or that are declared not to."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from ctxext.proving.finding import Finding, absent
from ctxext.proving.specimen import SAME, Specimen, difference, positions

SAME_MEMBERS = "position, mask and attention are those of its base: no other reading to compare with"
SINGLE = 8
"""How many tokens at the end are read one by one, as in writing."""


def judged(name: str, measured: float, holds: str, fails: str, bound: float = SAME) -> Finding:
    """Return the finding that the property `name` holds if `measured` is at most `bound`, with one of two sentences."""
    return Finding(name, measured <= bound, measured, holds if measured <= bound else fails)


def rows(specimen: Specimen) -> Finding:
    """Return whether a row of a batch is read as if it were the only one."""
    tokens = specimen.tokens(specimen.length, rows=2)
    together, alone = specimen.read(specimen.network, tokens), specimen.read(specimen.network, tokens[1:])
    apart = difference(together[1:], alone)
    return judged("rows", apart, "a row is read as if alone in its batch", "a row depends on the others of its batch")


def keeps_prefix(specimen: Specimen) -> bool:
    """Return whether the composition promises that outputs stay as they are when tokens are appended."""
    return not specimen.has_heads or all(member.keeps_prefix() for member in specimen.members)


def appended(specimen: Specimen, length: int) -> float:
    """Return how much the outputs of the first three quarters of `length` tokens change by the last quarter."""
    tokens, start = specimen.tokens(length), max(length * 3 // 4, 1)
    whole, part = specimen.read(specimen.network, tokens), specimen.read(specimen.network, tokens[:, :start])
    return difference(whole[:, :start], part)


def prefix(specimen: Specimen) -> Finding:
    """Return whether outputs stay as they are when tokens are appended, where that is promised."""
    longest = specimen.acting.reading
    apart = max(appended(specimen, length) for length in {specimen.trained_length, specimen.length, longest})
    if not keeps_prefix(specimen):
        return Finding("prefix", None, apart, "declared: what is appended changes how the text before it is read")
    return judged(
        "prefix",
        apart,
        f"up to {longest:,} tokens, appended ones change no output before them",
        "appended tokens change the past",
    )


def cache(specimen: Specimen) -> Finding:
    """Return whether reading in parts through a cache, the last tokens one by one, is reading at once.

    Where appended tokens change the past, the parts were read before these came: there it can hold only up to the
    length from which they do.
    """
    length = specimen.acting.reading
    told = f" at {length:,} tokens"
    if not keeps_prefix(specimen):
        length = min(specimen.trained_length, length)
        if appended(specimen, length) > SAME:
            return absent("cache", "declared: what is appended changes how the text before it is read")
        told = f" up to the trained length of {length} tokens"
    tokens = specimen.tokens(length)
    apart = difference(in_parts(specimen, tokens), specimen.read(specimen.network, tokens))
    words = f"reading in parts and one by one is reading at once{told}"
    return judged("cache", apart, words, "reading through the cache is another reading")


@torch.no_grad()
def in_parts(specimen: Specimen, tokens: Tensor) -> Tensor:
    """Return the hidden states of `tokens` [B, S] read in two parts, and one by one at the end."""
    length, kept = tokens.shape[1], specimen.network.new_cache()
    single = range(max(length - SINGLE, 0), length + 1)
    edges = sorted({0, single[0] // 3, *single})
    places, parts = positions(tokens), []
    for start, stop in itertools.pairwise(edges):
        parts.append(specimen.network.hidden(tokens[:, start:stop], places[:, start:stop], cache=kept))
    return torch.cat(parts, dim=1)


def shift(specimen: Specimen) -> Finding:
    """Return whether all positions may be shifted by the promised period, and by no less where one is stated."""
    if not specimen.has_heads:
        return absent("shift", "the network reads no positions")
    periods = [member.period() for member in specimen.members]
    period = math.lcm(*periods) if all(periods) else 0
    moved = shifted(specimen, 3 * period) if period else 0.0
    if moved > SAME:
        return Finding("shift", False, moved, f"positions shifted by {3 * period} give other outputs")
    if period == 1:
        return Finding("shift", True, moved, "all positions may be shifted together")
    other = shifted(specimen, 1)
    if other <= SAME:
        stated = f"may be shifted by multiples of {period} only" if period else "may not be shifted"
        return Finding("shift", False, other, f"positions {stated}, it is said, but a shift by 1 changes nothing")
    words = (
        f"positions may be shifted by multiples of {period}, and by 1 they may not"
        if period
        else ("declared: outputs depend on where a text begins, and a shift by 1 shows it")
    )
    return Finding("shift", True if period else None, moved if period else other, words)


def shifted(specimen: Specimen, shift: int) -> float:
    """Return the largest difference that a `shift` of all positions makes."""
    limit = specimen.limit(specimen.network)
    length = specimen.length if limit is None else max(min(specimen.length, limit - shift), 1)
    tokens = specimen.tokens(length)
    here = specimen.read(specimen.network, tokens)
    return difference(specimen.read(specimen.network, tokens, shift), here)


def effect(specimen: Specimen) -> Finding:
    """Return whether the method acts: outputs beyond the trained length differ from those of its base."""
    if not specimen.extends:
        return absent("effect", SAME_MEMBERS)
    if all(set_neutral(member, specimen.length) for member in specimen.members):
        return absent("effect", "its settings make it exactly its base, so that it can have no effect")
    for length in specimen.lengths:
        apart = {mode: acted(specimen, length, mode) for mode in specimen.modes}
        if max(apart.values()) > SAME:
            when = "" if apart[""] > SAME else ", in training alone"
            where = " beyond the trained length" * (length > specimen.trained_length)
            words = f"outputs at {length:,} tokens differ from the base's{where}{when}"
            return Finding("effect", True, max(apart.values()), words)
    if specimen.is_cut_short:
        return absent(
            "effect", f"up to {length:,} tokens it reads as its base does; longer texts take too much time here"
        )
    words = f"up to {length:,} tokens it reads as its base does: it has no effect"
    return Finding("effect", False, max(apart.values()), words)


def set_neutral(member: object, length: int) -> bool:
    """Return whether the `member` of a seam is its base, or set to be exactly that up to `length`."""
    return member in (member.base(), member.off(length))  # type: ignore[attr-defined]


def acted(specimen: Specimen, length: int, mode: str) -> float:
    """Return how much outputs beyond the trained length differ from the base's as the network stands in `mode`."""
    length = min(length, specimen.limit(specimen.network, specimen.base) or length)
    tokens, first = specimen.tokens(length), specimen.trained_length if length > specimen.trained_length else 0
    with specimen.training(mode):
        found = specimen.read(specimen.network, tokens)
    return difference(found[:, first:], specimen.read(specimen.base, tokens)[:, first:])


def neutral(specimen: Specimen) -> Finding:
    """Return whether the method with its neutral settings is its base to the last bit, where it has such settings."""
    if not specimen.extends:
        return absent("neutral", SAME_MEMBERS)
    length = min(specimen.length, specimen.limit(specimen.network, specimen.base) or specimen.length)
    off = [member.base() if member == member.base() else member.off(length) for member in specimen.members]
    without = [type(member).__name__ for member, neutral in zip(specimen.members, off, strict=True) if neutral is None]
    if without:
        return absent("neutral", f"{' and '.join(without)} can't be set to be exactly the base")
    with torch.random.fork_rng(devices=[]):
        network = specimen.base.reading(*off)
    tokens = specimen.tokens(length)
    found, expected = specimen.read(network, tokens), specimen.read(specimen.base, tokens)
    apart = difference(found, expected)
    is_same = torch.equal(found, expected)
    words = f"set to its neutral values it is its base, bit for bit, at {length} tokens"
    return Finding(
        "neutral", is_same, apart, words if is_same else "at its neutral values it isn't its base to the bit"
    )
