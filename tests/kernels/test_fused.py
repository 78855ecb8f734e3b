"""The fused functions and the plain form that stands in for them, against autograd's own of one dense softmax."""

import pytest
import torch

from ctxext.kernels import fused as kernel
from ctxext.kernels.operators import operator

WIDTH = 16
CASES = ["all", "causal", "masked"]


def pairs_of(case: str, queries: int, keys: int, dtype: torch.dtype) -> tuple[kernel.Pairs, torch.Tensor]:
    """Return the pairs as the kernel is told them, and what is added to all logits [1, 1 or H, Q, K]."""
    nothing = torch.zeros(1, 1, queries, keys, dtype=dtype)
    if case == "all":
        return kernel.Pairs(False, None, 0.3), nothing
    if case == "causal":
        later = torch.arange(keys) > torch.arange(queries)[:, None]
        return kernel.Pairs(True, None, 0.3), nothing.masked_fill(later, -torch.inf)
    mask = torch.randn(1, 4, queries, keys, dtype=dtype)
    mask[..., 1::3] = -torch.inf
    return kernel.Pairs(False, mask, 0.3), mask


def drawn(queries: int, keys: int, groups: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """Return queries, keys and values as parts of longer rows that are laid out token by token."""
    shapes = [(2, size + 9, heads, WIDTH) for size, heads in ((queries, 4), (keys, groups), (keys, groups))]
    return [torch.randn(shape, dtype=dtype).transpose(1, 2)[:, :, 5:-4] for shape in shapes]


@pytest.fixture(params=["fused", "plain"])
def form(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(kernel, "FUSED_FORWARD", None)
        monkeypatch.setattr(kernel, "BLOCK", 16)
    return request.param


def test_this_version_of_torch_has_the_fused_functions():
    q, k, v = drawn(3, 3, 2, torch.float32)
    assert kernel.is_fused(q, k, v)
    assert not kernel.is_fused(q, k, v[..., :8])
    assert not kernel.is_fused(q, k, v.double())


def test_a_function_whose_arguments_have_changed_is_not_used():
    assert operator("aten", kernel.OPERATOR, kernel.FORWARD) is not None
    assert operator("aten", kernel.OPERATOR, kernel.BACKWARD) is None
    assert operator("aten", "no_such_function", kernel.FORWARD) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize(("queries", "keys"), [(40, 40), (40, 7), (7, 40), (1, 40), (300, 300)])
@pytest.mark.parametrize("case", CASES)
def test_outputs_totals_and_gradients_are_those_of_a_dense_softmax(form, case, queries, keys, groups, dtype):
    torch.manual_seed(queries + keys)
    parts, (pairs, added) = drawn(queries, keys, groups, dtype), pairs_of(case, queries, keys, dtype)
    doubles = [part.double().requires_grad_() for part in parts]
    q, k, v = doubles
    logits = 0.3 * torch.einsum("bhqd,bhkd->bhqk", q, k.repeat_interleave(4 // groups, dim=1)) + added.double()
    meant = logits.softmax(dim=-1) @ v.repeat_interleave(4 // groups, dim=1)
    towards = torch.randn(2, queries, 4, WIDTH, dtype=dtype).transpose(1, 2)
    gradients = torch.autograd.grad(meant, doubles, towards.double())

    found, totals = kernel.forward(*parts, pairs)
    shares = kernel.backward(towards, *parts, found, totals, pairs)

    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    pieces = zip((found, totals, *shares), (meant, logits.logsumexp(dim=-1), *gradients), strict=True)
    for piece, double in pieces:
        torch.testing.assert_close(piece.double(), double.detach(), rtol=tolerance, atol=tolerance)


def test_a_query_that_sees_nothing_gets_nothing_and_learns_nothing(form):
    q, k, v = drawn(5, 6, 2, torch.float32)
    mask = torch.zeros(1, 1, 5, 6)
    mask[:, :, 2] = -torch.inf
    pairs = kernel.Pairs(False, mask, 0.3)
    found, totals = kernel.forward(q, k, v, pairs)
    assert (found[:, :, 2] == 0).all()
    shares = kernel.backward(torch.ones_like(found), q, k, v, found, totals.nan_to_num(neginf=0.0), pairs)
    assert all(share.isfinite().all() for share in shares)
    assert (shares[0][:, :, 2] == 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_its_type_and_single_precision_totals(form, dtype):
    q, k, v = drawn(12, 12, 2, dtype)
    found, totals = kernel.forward(q, k, v, kernel.Pairs(True, None, 0.3))
    single, meant = kernel.forward(q.float(), k.float(), v.float(), kernel.Pairs(True, None, 0.3))
    assert (found.dtype, totals.dtype) == (dtype, torch.float32)
    torch.testing.assert_close(found.float(), single, rtol=0.02, atol=0.02)
    torch.testing.assert_close(totals, meant, rtol=0.02, atol=0.02)
    shares = kernel.backward(found, q, k, v, found, totals, kernel.Pairs(True, None, 0.3))
    assert all(share.dtype == dtype for share in shares)
