"""The memory that training is said to take before it begins, against the peak of a fresh process that trains."""

from __future__ import annotations

from benchmarks import twins
from benchmarks.apart import apart, peak_bytes, processor
from benchmarks.clock import alone
from benchmarks.findings import Part, Table
from benchmarks.scale import SCALES, Scale, name_of
from benchmarks.training import our_step, settings

from ctxext.training.allocator import arranged
from ctxext.training.memory import forecast

STEPS = 3
MEGABYTE = 1e6


def measured(scale: Scale) -> Part:
    """Return how far the prediction is from the peak, by shape."""
    found, rows = Part(), []
    for index, shape in enumerate(scale.shapes):
        predicted, reached = apart("planning.peak_of", name_of(scale), index)
        found.add(f"plan_{shape.name}", [abs(predicted / reached - 1)])
        told = [f"{amount / MEGABYTE:.0f}" for amount in (predicted, reached)]
        rows.append([f"{shape.name}, {shape.rows} x {shape.length}", *told, f"{predicted / reached:.2f}"])
    found.tables.append(Table("Memory of training, MB", ["", "predicted", "measured", "ratio"], rows))
    return found


def peak_of(scale: str, index: int) -> tuple[int, int]:
    """Return the predicted peak of training the shape at `index`, and the one that this process then has, in bytes."""
    alone()
    shape = SCALES[scale].shapes[index]
    network, rows = twins.ours(shape.geometry), twins.batch(shape)
    predicted = forecast(network, rows, settings()).peak
    with arranged(settings(), processor()):
        step = our_step(network, rows)
        for _ in range(STEPS):
            step()
    return predicted, peak_bytes()
