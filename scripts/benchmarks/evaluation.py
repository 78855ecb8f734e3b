"""Reading a long text for its loss: a window against dense attention, and peaks of memory against transformers.

Shapes: T tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from benchmarks import twins
from benchmarks.apart import apart, peak_bytes
from benchmarks.clock import alone, in_turn, largest_difference
from benchmarks.findings import Part, Table, agree, middle, ratios
from benchmarks.scale import SCALES, Scale, name_of
from torch import Tensor

from ctxext.evaluation.reader import WholeReader
from ctxext.mask.sliding_window import SlidingWindow

WINDOW, DENSE, THEIRS = "ours, window", "ours, dense", "transformers, dense"
CHECKED = 2048
MEGABYTE = 1e6


def measured(scale: Scale) -> Part:
    """Return what evaluation takes."""
    alone()
    check(scale)
    small, found = scale.shapes[-1], Part()
    vocabulary = small.geometry.vocab_size
    text = twins.tokens(vocabulary, 1, scale.read)
    sides = {name: reading(name, scale, vocabulary, text) for name in (WINDOW, DENSE, THEIRS)}
    values = {name: float(work()) for name, work in sides.items()}
    agree(f"the mean losses of {DENSE} and {THEIRS}", abs(values[DENSE] - values[THEIRS]), 1e-4)
    times = in_turn(sides, max(2, scale.repetitions - 2))
    found.add("evaluation_time", ratios(times[WINDOW], times[DENSE]))
    peaks = {name: peak(name, scale, vocabulary, scale.read) for name in sides}
    found.add("evaluation_memory", ratios(peaks[WINDOW], peaks[THEIRS]))
    lines = [
        [
            name,
            middle([scale.read / time for time in times[name]], 1, 0),
            middle(times[name], 1, 2),
            middle(peaks[name], MEGABYTE, 0),
        ]
        for name in sides
    ]
    header = ["", "tokens a CPU second", "CPU s", "peak of the process, MB"]
    title = f"Loss of each of {scale.read} tokens, {small.name}, vocabulary {vocabulary}, window {scale.window}"
    found.tables.append(Table(title, header, lines))
    long = peak(WINDOW, scale, scale.long_vocabulary, scale.long)
    found.add("evaluation_32k", [amount / MEGABYTE for amount in long])
    return found


def network_of(name: str, scale: Scale, vocabulary: int) -> Any:
    """Return the network that reads as `name` says, of the small shape but for its `vocabulary`."""
    geometry = replace(scale.shapes[-1].geometry, vocab_size=vocabulary)
    ours = twins.ours(geometry, SlidingWindow(scale.window) if name == WINDOW else None).eval()
    return twins.llama(ours, scale.long).eval() if name == THEIRS else ours


def reading(name: str, scale: Scale, vocabulary: int, text: Tensor) -> Callable[[], float]:
    """Return what reads `text` [1, T] once, and gives the mean loss of all tokens but the first."""
    network = network_of(name, scale, vocabulary)
    if name != THEIRS:
        reader = WholeReader(network, text.shape[1])
        return lambda: float(reader.score(text, text.shape[1] - 1)[0].double().mean())

    @torch.inference_mode()
    def theirs() -> float:
        return float(network(text, labels=text).loss)

    return theirs


def peak(name: str, scale: Scale, vocabulary: int, length: int) -> list[float]:
    """Return the peak, in bytes, of a fresh process that reads `length` tokens as `name` says."""
    return [float(apart("evaluation.peak_of", name, name_of(scale), vocabulary, length))]


def peak_of(name: str, scale: str, vocabulary: int, length: int) -> int:
    """Return the peak, in bytes, of this process once it has read `length` tokens as `name` says."""
    alone()
    reading(name, SCALES[scale], vocabulary, twins.tokens(vocabulary, 1, length))()
    return peak_bytes()


def check(scale: Scale) -> None:
    """Stop in words if a state differs from transformers', dense or with the window, which Mistral has too."""
    geometry = scale.shapes[-1].geometry
    text = twins.tokens(geometry.vocab_size, 1, CHECKED)
    dense = network_of(DENSE, scale, geometry.vocab_size)
    others = {DENSE: twins.llama(dense, CHECKED), WINDOW: twins.windowed(dense, CHECKED, scale.window)}
    for name, other in others.items():
        with torch.inference_mode():
            ours = network_of(name, scale, geometry.vocab_size).hidden(text, torch.arange(CHECKED)[None])
            theirs = other.eval().model(text).last_hidden_state
        agree(f"the last states of {name} and transformers", largest_difference(ours, theirs), 1e-3)
