"""Where the time of a piece of work goes: products, attention, and the rest, as torch's profiler tells."""

from __future__ import annotations

from collections import Counter

from benchmarks.clock import Work

KINDS = {
    "attention": ("scaled_dot_product",),
    "products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::mv", "aten::addmv", "_linear_pointwise"),
}
REST = "the rest"


def kind_of(name: str) -> str:
    """Return of which kind the function `name` of torch is."""
    return next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), REST)


def shares(work: Work) -> dict[str, float]:
    """Return the share of each kind in the CPU time of `work`, after a warm-up."""
    from torch.profiler import ProfilerActivity, profile

    work()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        work()
    taken = Counter[str]()
    for event in seen.key_averages():
        taken[kind_of(event.key)] += event.self_cpu_time_total
    return {kind: taken[kind] / taken.total() for kind in (*KINDS, REST)}


def told(found: dict[str, float]) -> str:
    """Return the shares `found` in words."""
    return ", ".join(f"{share:.0%} {kind}" for kind, share in found.items())
