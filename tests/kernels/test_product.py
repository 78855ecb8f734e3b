"""Products by oneDNN are torch's own, with their gradients; where its function isn't meant, torch chooses."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear as by_torch

from ctxext.kernels import product as kernel
from ctxext.kernels.operators import operator
from ctxext.kernels.product import Linear, add_product, is_passed_over, linear, written

Given = tuple[Tensor, Tensor, Tensor]
INTEL, OTHER = "vendor_id\t: GenuineIntel\n", "vendor_id\t: AuthenticAMD\n"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Let oneDNN multiply whatever the processor is, and tell the shape of each product's first factor."""
    found = operator("mkldnn", "_linear_pointwise", kernel.ARGUMENTS)
    if found is None:
        pytest.skip("this torch has no such function")
    shapes: list[tuple[int, ...]] = []

    def watched(x: Tensor, *rest: Any) -> Tensor:
        shapes.append(tuple(x.shape))
        product: Tensor = found(x, *rest)
        return product

    monkeypatch.setattr(kernel, "ONEDNN", watched)
    return shapes


def given(*leading: int) -> Given:
    draw = torch.Generator().manual_seed(0)
    x, weight = torch.randn(*leading, 24, generator=draw), torch.randn(40, 24, generator=draw)
    return x.requires_grad_(), weight.requires_grad_(), torch.randn(40, generator=draw).requires_grad_()


def with_gradients(multiply: Callable[..., Tensor], factors: Given, has_bias: bool) -> list[Tensor]:
    """The product, and the gradients of the factors and the bias."""
    x, weight, bias = factors
    wanted = factors if has_bias else (x, weight)
    product = multiply(x, weight, bias if has_bias else None)
    towards = torch.randn(product.shape, generator=torch.Generator().manual_seed(1))
    return [product, *torch.autograd.grad(product, wanted, towards)]


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("leading", [(16,), (3, 50), (2, 3, 7)])
def test_products_and_gradients_are_those_of_torch(
    leading: tuple[int, ...], has_bias: bool, calls: list[tuple[int, ...]]
) -> None:
    factors = given(*leading)
    found, expected = (with_gradients(way, factors, has_bias) for way in (linear, by_torch))
    assert len(calls) == 3
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_only_gradients_that_are_wanted_are_made(calls: list[tuple[int, ...]]) -> None:
    x, weight, _ = given(20)
    torch.autograd.grad(linear(x.detach(), weight).sum(), weight)
    torch.autograd.grad(linear(x, weight.detach()).sum(), x)
    assert len(calls) == 4
    with torch.no_grad():
        assert not linear(x, weight).requires_grad
    assert len(calls) == 5


@pytest.mark.parametrize(
    "change",
    [lambda x: x[:15], lambda x: x.double(), lambda x: x.bfloat16()],
    ids=["few rows", "double precision", "half precision"],
)
def test_what_does_not_suit_is_torchs(change: Callable[[Tensor], Tensor], calls: list[tuple[int, ...]]) -> None:
    x, weight = (part.detach() for part in given(20)[:2])
    x = change(x)
    assert torch.equal(linear(x, weight.to(x.dtype)), by_torch(x, weight.to(x.dtype)))
    assert calls == []


def test_under_autocast_torch_chooses(calls: list[tuple[int, ...]]) -> None:
    x, weight, _ = given(20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(x, weight).dtype == torch.bfloat16
    assert calls == []


def test_a_product_is_written_and_added_in_place(calls: list[tuple[int, ...]]) -> None:
    x, weight = (part.detach() for part in given(20)[:2])
    out, total, expected = torch.zeros(20, 40), torch.ones(20, 40), x.double() @ weight.double().T
    assert written(x, weight, out) is out
    add_product(total, x, weight)
    assert len(calls) == 2
    for found, wanted in ((out, expected), (total, expected + 1)):
        torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)


def test_a_layer_is_torchs_with_other_products(calls: list[tuple[int, ...]]) -> None:
    layer, x = Linear(24, 40), given(20)[0]
    torch.testing.assert_close(layer(x), torch.nn.Linear.forward(layer, x), rtol=1e-5, atol=1e-5)
    assert isinstance(layer, torch.nn.Linear)
    assert calls == [(20, 24)]


@pytest.mark.parametrize(
    ("told", "capability", "expected"),
    [(OTHER, "AVX512", True), (INTEL, "AVX512", False), (OTHER, "AVX2", False), (None, "AVX512", False)],
)
def test_onednn_is_taken_where_mkl_leaves_avx512_unused(
    told: str | None, capability: str, expected: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if told is not None:
        (tmp_path / "cpuinfo").write_text(told)
    monkeypatch.setattr(kernel, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert is_passed_over() is expected


def test_a_compiler_takes_it_as_one_call(calls: list[tuple[int, ...]]) -> None:
    graphs: list[str] = []

    def backend(graph: torch.fx.GraphModule, inputs: object) -> Any:
        graphs.append(graph.code)
        return graph.forward

    x, weight = (part.detach() for part in given(20)[:2])
    torch._dynamo.reset()
    found = torch.compile(linear, backend=backend, fullgraph=True)(x, weight)
    torch.testing.assert_close(found, by_torch(x, weight), rtol=1e-5, atol=1e-5)
    assert len(graphs) == 1
    assert "ctxext.product" in graphs[0]
