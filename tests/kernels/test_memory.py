"""The memory against the paper's formula, a row and a document at a time in double precision."""

import pytest
import torch
from torch import Tensor

from ctxext.kernels.memory import recall, segments
from ctxext.places import Places

WIDTH = 4


def packed(*rows: tuple[int, ...]) -> Places:
    """Return the places of rows of documents of these lengths."""
    documents = [torch.repeat_interleave(torch.arange(len(row)), torch.tensor(row)) for row in rows]
    positions = [torch.cat([torch.arange(length) for length in row]) for row in rows]
    return Places.of(torch.stack(positions), torch.stack(documents))


def oracle(q: Tensor, k: Tensor, v: Tensor, rows, size: int) -> Tensor:
    """Return A_mem = q M / (q z), and after it M += k^T (v - k M / (k z)), z += sum k, segment after segment."""
    outputs = []
    for row, lengths in enumerate(rows):
        parts = []
        for document in zip(*(tensor[row].split(lengths, dim=1) for tensor in (q, k, v)), strict=True):
            memory = torch.zeros(q.shape[1], WIDTH, WIDTH, dtype=q.dtype)
            total = torch.zeros(q.shape[1], WIDTH, 1, dtype=q.dtype)
            pieces = zip(*(tensor.split(size, dim=1) for tensor in document), strict=True)
            for number, (asked, keys, values) in enumerate(pieces):
                parts.append(asked @ memory / (asked @ total) if number else torch.zeros_like(asked))
                known = keys @ memory / (keys @ total) if number else 0
                memory = memory + keys.transpose(1, 2) @ (values - known)
                total = total + keys.sum(dim=1)[..., None]
        outputs.append(torch.cat(parts, dim=1))
    return torch.stack(outputs)


def problem(batch: int, length: int) -> list[Tensor]:
    """Return q and k above 0, and v."""
    draw = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(batch, 2, length, WIDTH, generator=draw) for _ in range(3))
    return [tensor.requires_grad_() for tensor in (q.exp(), k.exp(), v)]


ROWS = [((20,), (20,)), ((1, 13, 6), (8, 8, 4)), ((20,), (5, 5, 5, 5)), ((3, 17), (19, 1))]


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("size", [1, 4, 7, 10])
def test_outputs_and_gradients_are_those_of_the_papers_formula(rows, size):
    inputs, places = problem(2, 20), packed(*rows)
    doubles = [tensor.detach().double().requires_grad_() for tensor in inputs]
    towards = torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(1))
    found = recall(*inputs, segments(places, size), size)
    meant = oracle(*doubles, rows, size)
    torch.testing.assert_close(found.double(), meant, rtol=1e-3, atol=1e-4)
    (found * towards).sum().backward()
    (meant * towards).sum().backward()
    for tensor, double in zip(inputs, doubles, strict=True):
        assert tensor.grad.isfinite().all()
        torch.testing.assert_close(tensor.grad.double(), double.grad, rtol=1e-3, atol=1e-3)


def test_a_row_of_one_document_needs_no_numbers():
    inputs, places = problem(2, 20), packed((20,), (20,))
    found = recall(*inputs, segments(Places.of(places.positions), 6), 6)
    assert torch.equal(found, recall(*inputs, segments(places, 6), 6))


@pytest.mark.parametrize("start", [0, 3, 8, 19])
def test_queries_at_the_end_of_the_keys_recall_what_they_recall_in_the_whole_row(start):
    (q, k, v), places = problem(1, 20), Places.of(torch.arange(20)[None])
    lie = segments(places, 4)
    torch.testing.assert_close(recall(q[:, :, start:], k, v, lie, 4), recall(q, k, v, lie, 4)[:, :, start:])


def test_nothing_of_a_segment_is_recalled_within_it():
    # Written before it is read, the memory would show a query the keys after it, and its own.
    (q, k, v), places = problem(1, 12), Places.of(torch.arange(12)[None])
    found = recall(q, k, v, segments(places, 4), 4)
    assert not found[:, :, :4].any()
    (gradient,) = torch.autograd.grad(found[:, :, 4:8].sin().sum(), v)
    assert gradient[:, :, :4].any()
    assert not gradient[:, :, 4:].any()


def test_what_is_known_already_is_not_written_again():
    # One key: the memory holds its value after the first segment, and asked for it again has nothing to add.
    key, value = torch.tensor([1.0, 0, 0, 0]).expand(1, 1, 3, WIDTH), torch.tensor([3.0, 1, 4, 1])
    found = recall(key, key, value.expand(1, 1, 3, WIDTH), segments(Places.of(torch.arange(3)[None]), 1), 1)
    assert found[0, 0, 1].tolist() == value.tolist()
    assert found[0, 0, 2].tolist() == (value / 2).tolist()  # M stays, z grows
