"""Chunked = parallel = recurrent: the kernel against the two other forms in double precision, from the formulas."""

import pytest
import torch
from torch import Tensor

from ctxext.kernels import linear as kernel

HEADS, WIDTH, VALUES = 3, 5, 4


def problem(batch: int, length: int, dtype=torch.float32) -> tuple[list[Tensor], Tensor]:
    """Return q, k, v with gradients and the logarithms of three decays, the first of them 1."""
    draw = torch.Generator().manual_seed(length)
    shapes = [(batch, HEADS, length, width) for width in (WIDTH, WIDTH, VALUES)]
    inputs = [torch.randn(shape, generator=draw).to(dtype).requires_grad_() for shape in shapes]
    return inputs, torch.tensor([1.0, 0.96875, 0.5], dtype=dtype).log()


def numbers(*rows: tuple[int, ...]) -> Tensor:
    """Return the document numbers [B, T] of rows of documents of these lengths."""
    return torch.stack([torch.repeat_interleave(torch.arange(len(row)), torch.tensor(row)) for row in rows])


def parallel(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, documents: Tensor) -> Tensor:
    """Return (q k^T * D) v of one dense T x T matrix D."""
    place = torch.arange(k.shape[2], dtype=q.dtype)
    power = place[:, None] - place
    decay = log_decay.exp()[:, None, None] ** power.clamp(min=0)
    decay = decay.tril() * (documents[:, None, :, None] == documents[:, None, None, :])
    return torch.einsum("bhqd,bhkd,bhqk,bhke->bhqe", q, k, decay, v)


def recurrent(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, documents: Tensor) -> Tensor:
    """Return the outputs of S = decay S + k v^T, o = q S, token after token."""
    outputs, state = [], torch.zeros(*q.shape[:2], WIDTH, VALUES, dtype=q.dtype)
    for at in range(q.shape[2]):
        goes_on = documents[:, at] == documents[:, max(at - 1, 0)]
        state = state * goes_on[:, None, None, None] * log_decay.exp()[:, None, None]
        state = state + k[:, :, at, :, None] * v[:, :, at, None, :]
        outputs.append((q[:, :, at, None, :] @ state)[:, :, 0])
    return torch.stack(outputs, dim=2)


@pytest.mark.parametrize("form", [parallel, recurrent])
@pytest.mark.parametrize("chunk", [1, 7, 16, 128])
@pytest.mark.parametrize("rows", [((40,), (40,)), ((1, 30, 9), (16, 16, 8)), ((7, 33), (39, 1))])
def test_outputs_and_gradients_are_those_of_the_other_forms(form, chunk, rows, monkeypatch):
    monkeypatch.setattr(kernel, "CHUNK", chunk)
    (inputs, log_decay), documents = problem(2, 40), numbers(*rows)
    doubles = [tensor.detach().double().requires_grad_() for tensor in inputs]
    towards = torch.randn(2, HEADS, 40, VALUES, generator=torch.Generator().manual_seed(1))
    found = kernel.gather(*inputs, log_decay, documents)
    meant = form(*doubles, log_decay.double(), documents)
    torch.testing.assert_close(found.double(), meant, rtol=1e-4, atol=1e-4)
    (found * towards).sum().backward()
    (meant * towards).sum().backward()
    for tensor, double in zip(inputs, doubles, strict=True):
        torch.testing.assert_close(tensor.grad.double(), double.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("start", [0, 1, 17, 39])
def test_queries_at_the_end_of_the_keys_gather_what_the_whole_row_gathers(start, monkeypatch):
    monkeypatch.setattr(kernel, "CHUNK", 8)
    (q, k, v), log_decay = problem(1, 40)
    whole = kernel.gather(q, k, v, log_decay, None)
    tail = kernel.gather(q[:, :, start:], k, v, log_decay, None)
    torch.testing.assert_close(tail, whole[:, :, start:], rtol=1e-4, atol=1e-5)


def test_a_state_goes_on_token_by_token():
    (q, k, v), log_decay = problem(1, 20)
    documents, state, outputs = numbers((12, 8)), None, []
    for at in range(20):
        here = slice(at, at + 1)
        own = kernel.scored(q[:, :, here], k[:, :, here], v[:, :, here], log_decay, documents[:, here])
        outputs.append(own if state is None else own + kernel.read(state, q[:, :, here], log_decay, documents[:, here]))
        state = kernel.extended(state, k[:, :, here], v[:, :, here], log_decay, documents[:, here])
        assert state.sums.shape == (1, HEADS, WIDTH, VALUES)
    meant = parallel(q, k, v, log_decay, documents)
    torch.testing.assert_close(torch.cat(outputs, dim=2), meant, rtol=1e-4, atol=1e-5)


def test_the_gradient_is_that_of_finite_differences_in_double_precision(monkeypatch):
    monkeypatch.setattr(kernel, "CHUNK", 2)
    inputs, log_decay = problem(1, 4, torch.float64)
    documents = numbers((3, 1))
    assert torch.autograd.gradcheck(lambda *leaves: kernel.gather(*leaves, log_decay, documents), inputs)


def test_a_long_row_neither_overflows_nor_forgets_its_last_tokens():
    # 0.5^-4096 is far beyond any float: the factored form of the papers is infinite here.
    length = 4096
    ones = torch.ones(1, HEADS, length, 1, requires_grad=True)
    found = kernel.gather(ones, ones, ones, torch.tensor([1.0, 0.96875, 0.5]).log(), None)
    torch.testing.assert_close(found[0, :, -1, 0], torch.tensor([length, 32.0, 2.0]))  # 1 / (1 - decay)
    found.sum().backward()
    assert ones.grad.isfinite().all()


def test_no_weight_left_gives_0_and_finite_gradients():
    sums, total = torch.tensor([[[[2.0]], [[0.0]]]]), torch.tensor([[[[4.0]], [[0.0]]]])
    sums.requires_grad_(), total.requires_grad_()
    found = kernel.over(sums, total)
    assert found.flatten().tolist() == [0.5, 0.0]
    (1e6 * found).sum().backward()
    assert sums.grad.flatten().tolist() == [250000.0, 0.0]
    assert total.grad.flatten().tolist() == [-125000.0, 0.0]
