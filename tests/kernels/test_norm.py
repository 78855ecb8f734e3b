import pytest
import torch
from torch.nn.functional import rms_norm

from ctxext.kernels.norm import FineRmsNorm, Normalise, OffsetRmsNorm, RmsNorm


@pytest.mark.parametrize("shape", [(5,), (1, 7), (3, 2, 9)])
@pytest.mark.parametrize("epsilon", [1e-5, 0.5])
def test_outputs_and_gradients_are_those_of_torch(shape, epsilon):
    draw = torch.Generator().manual_seed(0)
    norm = RmsNorm(shape[-1], epsilon)
    norm.weight.data = torch.randn(shape[-1], generator=draw)
    x, towards = torch.randn(shape, generator=draw).requires_grad_(), torch.randn(shape, generator=draw)
    found, meant = norm(x), rms_norm(x, shape[-1:], norm.weight, epsilon)
    torch.testing.assert_close(found, meant)
    leaves = (x, norm.weight)
    one, other = torch.autograd.grad(found, leaves, towards), torch.autograd.grad(meant, leaves, towards)
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("kind", "offset"), [(FineRmsNorm, 0), (OffsetRmsNorm, 1)])
def test_those_of_other_families_multiply_by_what_they_say_and_round_once(kind, offset):
    draw = torch.Generator().manual_seed(3)
    norm = kind(6, 1e-3)
    assert norm.weight.tolist() == [1 - offset] * 6
    norm.weight.data = torch.randn(6, generator=draw)
    x, towards = torch.randn(50, 6, generator=draw).requires_grad_(), torch.randn(50, 6, generator=draw)
    found, meant = norm(x), rms_norm(x, (6,), norm.weight + offset, 1e-3)
    leaves = (x, norm.weight)
    torch.testing.assert_close(found, meant)
    torch.testing.assert_close(
        torch.autograd.grad(found, leaves, towards), torch.autograd.grad(meant, leaves, towards), rtol=1e-4, atol=1e-5
    )
    rounded = x.detach().bfloat16()
    assert torch.equal(norm(rounded), norm(rounded.float()).bfloat16())
    assert not torch.equal(RmsNorm.forward(norm, rounded), norm(rounded))


def test_the_gradient_is_that_of_finite_differences_in_double_precision():
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(3, 5, dtype=torch.float64, generator=draw).requires_grad_()
    weight = torch.randn(5, dtype=torch.float64, generator=draw).requires_grad_()
    assert torch.autograd.gradcheck(lambda *leaves: Normalise.apply(*leaves, 1e-5), (x, weight))


def test_bfloat16_is_normalised_in_single_precision():
    x = torch.full((1, 4096), 3.0, dtype=torch.bfloat16)  # a bfloat16 sum of 4096 squares would be wrong by far
    found = RmsNorm(4096, 1e-5)(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), torch.ones(1, 4096), rtol=0, atol=0.005)


def test_a_row_of_zeros_stays_zero():
    x = torch.zeros(2, 4, requires_grad=True)
    RmsNorm(4, 1e-5)(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("kind", [RmsNorm, FineRmsNorm, OffsetRmsNorm])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(1, 1, 256), (2, 37, 576), (3, 5)])
def test_without_gradients_every_bit_is_as_with_them(kind, dtype, shape):
    draw = torch.Generator().manual_seed(4)
    norm = kind(shape[-1], 1e-5)
    norm.weight.data = torch.randn(shape[-1], generator=draw)
    x = (torch.randn(shape, generator=draw) * 3).to(dtype)
    with_gradients = norm(x.clone().requires_grad_())
    with torch.inference_mode():
        assert torch.equal(norm(x), with_gradients)
    norm.requires_grad_(False)
    assert torch.equal(norm(x), with_gradients)
    assert with_gradients.requires_grad
