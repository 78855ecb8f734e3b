"""The fused loss against full logits: time in one process, extra memory in a process each.

Shapes: N rows, V vocabulary, W width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from benchmarks.apart import apart, taken_by
from benchmarks.clock import alone, in_turn, largest_difference
from benchmarks.findings import Part, Table, agree, middle, ratios
from benchmarks.scale import Scale
from torch import Tensor
from torch.nn import functional

from ctxext.kernels.loss import Unembedding, fused_loss

WIDTH = 256
OURS, FULL = "fused", "full logits"
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def fused(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Return our loss."""
    return fused_loss(hidden, Unembedding(weight, None, 0.0), targets, torch.ones(len(targets)))


def full(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Return the plain loss over all logits [N, V]."""
    return functional.cross_entropy(hidden @ weight.T, targets)


LOSSES: dict[str, Loss] = {OURS: fused, FULL: full}


def given(rows: int, vocabulary: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return states [N, W], an unembedding [V, W] and targets [N]."""
    torch.manual_seed(0)
    hidden, weight = torch.randn(rows, WIDTH), torch.randn(vocabulary, WIDTH) * WIDTH**-0.5
    return hidden.requires_grad_(), weight.requires_grad_(), torch.randint(vocabulary, (rows,))


def both_ways(loss: Loss, parts: tuple[Tensor, Tensor, Tensor]) -> Callable[[], float]:
    """Return a forward and backward pass of `loss`, which leaves its gradients in `parts`."""

    def work() -> float:
        parts[0].grad = parts[1].grad = None
        value = loss(*parts)
        torch.autograd.backward(value)
        return float(value.detach())

    return work


def measured(scale: Scale) -> Part:
    """Return the time and memory of the fused loss over those of full logits."""
    alone()
    parts = {name: given(scale.rows_of_loss, scale.vocabulary) for name in LOSSES}
    sides = {name: both_ways(loss, parts[name]) for name, loss in LOSSES.items()}
    values = {name: work() for name, work in sides.items()}
    agree("the losses", abs(values[OURS] - values[FULL]), 1e-4)
    for index, what in enumerate(("states", "weights")):
        difference = largest_difference(parts[OURS][index].grad, parts[FULL][index].grad)
        agree(f"the gradients at the {what}", difference, 1e-5)
    times = in_turn(sides, scale.repetitions)
    size = (scale.rows_of_loss, scale.vocabulary)
    memory = {name: [float(apart("loss.extra_bytes", name, *size))] for name in LOSSES}
    found = Part()
    found.add("loss_time", ratios(times[OURS], times[FULL]))
    found.add("loss_memory", ratios(memory[OURS], memory[FULL]))
    rows = [[name, middle(times[name]), middle(memory[name], 2**20)] for name in LOSSES]
    title = f"Loss, forward and backward, width {WIDTH}, {size[0]} rows, vocabulary {size[1]}"
    found.tables.append(Table(title, ["", "CPU ms", "extra MiB"], rows))
    return found


def extra_bytes(name: str, rows: int, vocabulary: int) -> int:
    """Return the bytes that the loss `name` takes beside what it is given."""
    alone()
    both_ways(LOSSES[name], given(64, 64))()  # code and threads are not its own
    parts = given(rows, vocabulary)
    return taken_by(both_ways(LOSSES[name], parts))
