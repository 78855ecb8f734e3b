"""Sums and gatherings of tensors over processes, with their gradients.

Shapes: C processes, * anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ctxext.parallel.mesh import Mesh

BUCKET = 2**24
"""Numbers that are summed by one collective, at most, unless a single tensor has more."""


def gathered(own: Tensor, group: Any, count: int) -> Tensor:
    """Return the numbers [C, *] of the `count` processes of `group`, each of which has its `own` [*]."""
    every: Tensor = Gathered.apply(own, group, count)  # type: ignore[no-untyped-call]
    return every


class Gathered(torch.autograd.Function):
    """An all-gather; what is learnt of a process's numbers anywhere is summed where they came from."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, group: Any, count: int) -> Tensor:
        """Return the numbers of all processes [C, *]."""
        ctx.group = group
        every = own.new_empty(count, *own.shape)
        torch.distributed.all_gather(list(every.unbind()), own.contiguous(), group=group)
        return every

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient [*] of this process's numbers."""
        own = gradient.new_empty(gradient.shape[1:])
        torch.distributed.reduce_scatter(own, list(gradient.contiguous().unbind()), group=ctx.group)
        return own, None, None


def sum_gradients(parameters: Iterable[Tensor], mesh: Mesh) -> None:
    """Add up the gradients of `parameters` over the processes of `mesh`; one that has none anywhere is left without."""
    if mesh.size == 1:
        return
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    known = mesh.total(torch.tensor([parameter.grad is not None for parameter in trained], dtype=torch.int64))
    for bucket in buckets([parameter for parameter, count in zip(trained, known.tolist(), strict=True) if count]):
        gradients = [torch.zeros_like(part) if part.grad is None else part.grad for part in bucket]
        summed = mesh.total(torch.cat([gradient.flatten() for gradient in gradients]))
        sizes = [gradient.numel() for gradient in gradients]
        for parameter, total in zip(bucket, torch.split(summed, sizes), strict=True):
            parameter.grad = total.view_as(parameter)


def buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Yield `tensors` in runs of one type and of at most `BUCKET` numbers."""
    run: list[Tensor] = []
    for tensor in tensors:
        is_full = sum(part.numel() for part in run) + tensor.numel() > BUCKET
        if run and (is_full or tensor.dtype != run[0].dtype):
            yield run
            run = []
        run.append(tensor)
    if run:
        yield run
