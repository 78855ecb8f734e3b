"""Products with a weight, by the library that uses this processor's instructions: torch's own choice, or oneDNN.

Shapes: N rows, I inputs, O outputs.

torch leaves products in single precision to MKL, which keeps its AVX-512 code to processors of its own maker; oneDNN
asks for the instructions alone, and is twice as fast on others (docs/decisions/products.md). torch calls oneDNN's
function in code that it compiles, and keeps it private: where it is missing or has changed, torch's choice stands.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear as by_choice

from ctxext.kernels.operators import operator

CPUINFO = Path("/proc/cpuinfo")
FEWEST = 16
"""Rows from which it pays."""
AT_ONCE = 4096
"""Rows, inputs or outputs of a product that are given to it at once, where there may be as many as a vocabulary."""
ARGUMENTS = "X, W, B, attr, scalars, algorithm"


def is_passed_over() -> bool:
    """Return whether this processor has AVX-512 and MKL doesn't use it: a rule, and no trial, so that bits stay."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not CPUINFO.is_file():
        return False
    return "GenuineIntel" not in CPUINFO.read_text(encoding="ascii", errors="replace")


ONEDNN = operator("mkldnn", "_linear_pointwise", ARGUMENTS) if is_passed_over() else None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `x` [..., I] times the transposed `weight` [O, I], plus `bias` [O] if it is given."""
    if not suits(x, weight):
        return by_choice(x, weight, bias)
    if torch.is_grad_enabled() and any(part.requires_grad for part in (x, weight, bias) if part is not None):
        product: Tensor = Product.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return product
    return multiplied(x, weight, bias)


def written(x: Tensor, weight: Tensor, out: Tensor) -> Tensor:
    """Return `out` [N, O], which becomes the product of `x` [N, I] with `weight` [O, I]; it takes no gradient."""
    if not suits(x, weight):
        return torch.mm(x, weight.T, out=out)
    for part in parts(weight.shape[0]):
        out[:, part] = multiplied(x, weight[part])
    return out


def add_product(total: Tensor, x: Tensor, weight: Tensor) -> None:
    """Add to `total` [N, O] the product of `x` [N, I] with `weight` [O, I]; it takes no gradient."""
    if not suits(x, weight):
        total.addmm_(x, weight.T)
        return
    for rows in parts(x.shape[0]):
        for inner in parts(x.shape[1]):
            total[rows] += multiplied(x[rows, inner], weight[:, inner])


def summed(x: Tensor, weight: Tensor) -> Tensor:
    """Return the product [N, O] of `x` [N, I], of many inputs, with `weight` [O, I]; it takes no gradient."""
    if not suits(x, weight):
        return x @ weight.T
    total = x.new_zeros(x.shape[0], weight.shape[0])
    add_product(total, x, weight)
    return total


def parts(size: int) -> Iterator[slice]:
    """Yield the numbers up to `size`, at most `AT_ONCE` at a time: oneDNN lays out anew what it multiplies."""
    return (slice(start, start + AT_ONCE) for start in range(0, size, AT_ONCE))


def suits(x: Tensor, weight: Tensor) -> bool:
    """Return whether oneDNN is to multiply `x` [..., I] by `weight`: enough rows in single precision on a CPU."""
    if ONEDNN is None or x.dtype != torch.float32 or weight.dtype != torch.float32 or not x.is_cpu:
        return False
    return x.numel() >= FEWEST * x.shape[-1] > 0 and not torch.is_autocast_enabled("cpu")


def multiplied(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return what `linear` returns, by oneDNN and without a gradient."""
    assert ONEDNN is not None
    bias = None if bias is None else bias.contiguous()  # its strides would not be looked at
    if torch.compiler.is_compiling():  # torch's compiler writes its own call of this function, for constant weights
        compiled: Tensor = opaque(x, weight, bias)
        return compiled
    product: Tensor = ONEDNN(x, weight, bias, "none", [], "")
    return product


@torch.library.custom_op("ctxext::product", mutates_args=())
def opaque(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return what `multiplied` returns, as one call that torch's compiler doesn't look into."""
    assert ONEDNN is not None
    product: Tensor = ONEDNN(x, weight, bias, "none", [], "")
    return product


@opaque.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight.shape[0])


class Product(torch.autograd.Function):
    """A product whose gradients are products of the same kind."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the product [..., O]."""
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return multiplied(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the inputs."""
        x, weight = ctx.saved_tensors
        rows = gradient.reshape(-1, gradient.shape[-1])
        of_x = multiplied(gradient, weight.T) if ctx.needs_input_grad[0] else None
        of_weight = multiplied(x.reshape(rows.shape[0], -1).T, rows.T).T if ctx.needs_input_grad[1] else None
        of_bias = rows.sum(dim=0) if ctx.has_bias and ctx.needs_input_grad[2] else None
        return of_x, of_weight, of_bias


class Linear(nn.Linear):
    """torch's layer with these products."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the product [..., O] of `x` [..., I]."""
        return linear(x, self.weight, self.bias)
