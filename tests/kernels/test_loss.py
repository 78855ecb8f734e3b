import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from ctxext.kernels import loss as kernel
from ctxext.kernels.loss import Unembedding, chunk_rows, fused_loss, token_scores


def problem(rows: int, width: int = 7, vocabulary: int = 13, dtype=torch.float32) -> tuple[Tensor, ...]:
    """Return hidden rows, weight, bias, targets and row weights, some of them 0."""
    draw = torch.Generator().manual_seed(rows)
    hidden, weight = torch.randn(rows, width, generator=draw), torch.randn(vocabulary, width, generator=draw)
    bias, targets = torch.randn(vocabulary, generator=draw), torch.randint(vocabulary, (rows,), generator=draw)
    weights = torch.rand(rows, generator=draw) * (torch.rand(rows, generator=draw) > 0.3)
    weights[0] = 0.5
    return *(tensor.to(dtype).requires_grad_() for tensor in (hidden, weight, bias)), targets, weights


PRODUCTS = (torch.ops.aten.mm, torch.ops.aten.addmm_, torch.ops.mkldnn._linear_pointwise)


class Largest(TorchDispatchMode):
    """Notes the most elements of a tensor that is made or written while it is in force, and those of products."""

    def __init__(self) -> None:
        super().__init__()
        self.elements, self.products = 0, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        parts = made if isinstance(made, tuple | list) else (made,)
        self.elements = max([self.elements, *(part.numel() for part in parts if isinstance(part, Tensor))])
        if func.overloadpacket in PRODUCTS:
            self.products.append(made.numel())
        return made


@pytest.mark.parametrize("rows", [1, 3, 8, 9, 16, 17, 31])
@pytest.mark.parametrize("has_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("cap", [0.0, 1.5], ids=["no cap", "cap"])
def test_loss_and_gradients_are_those_of_cross_entropy_across_chunk_borders(rows, has_bias, cap, monkeypatch):
    monkeypatch.setattr(kernel, "CHUNK", 8)
    hidden, weight, bias, targets, weights = problem(rows)
    leaves = [hidden, weight, bias] if has_bias else [hidden, weight]
    found = fused_loss(hidden, Unembedding(weight, bias if has_bias else None, cap), targets, weights)
    logits = hidden @ weight.T + (bias if has_bias else 0)
    logits = cap * torch.tanh(logits / cap) if cap else logits
    meant = (cross_entropy(logits, targets, reduction="none") * weights).sum() / weights.sum()
    torch.testing.assert_close(found, meant)
    # The factor 3 is what comes from above: a scaled or accumulated loss.
    for one, other in zip(torch.autograd.grad(3 * found, leaves), torch.autograd.grad(3 * meant, leaves), strict=True):
        torch.testing.assert_close(one, other)


def test_the_gradient_at_the_logits_is_p_minus_onehot():
    rows = 5
    # With hidden = identity, weight.T is the matrix of logits, so that the weight's gradient is theirs.
    logits = torch.randn(rows, 11, generator=torch.Generator().manual_seed(0))
    targets, weights = torch.tensor([0, 10, 3, 3, 7]), torch.tensor([1.0, 0.0, 2.0, 0.5, 0.5])
    weight = logits.T.contiguous().requires_grad_()
    bias = torch.zeros(11, requires_grad=True)
    fused_loss(torch.eye(rows), Unembedding(weight, bias, 0.0), targets, weights).backward()
    meant = torch.empty(rows, 11)
    for row in range(rows):
        exponentials = [2.718281828459045**value for value in logits[row].tolist()]
        for token in range(11):
            probability = exponentials[token] / sum(exponentials)
            meant[row, token] = (probability - (token == targets[row].item())) * weights[row].item() / 4.0
    torch.testing.assert_close(weight.grad.T, meant)
    torch.testing.assert_close(bias.grad, meant.sum(dim=0), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("cap", [0.0, 1.5, 30.0])
def test_the_gradient_is_that_of_finite_differences_in_double_precision(cap, monkeypatch):
    monkeypatch.setattr(kernel, "CHUNK", 4)
    hidden, weight, bias, targets, weights = problem(6, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda *leaves: fused_loss(leaves[0], Unembedding(*leaves[1:], cap), targets, weights), (hidden, weight, bias)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_cap_bounds_logits_and_leaves_their_order(dtype):
    hidden = torch.tensor([[-1e4], [-1.0], [0.01], [2.0], [1e4]], dtype=dtype)
    logits = Unembedding(torch.ones(1, 1), torch.zeros(1), 5.0).logits(hidden)
    assert logits.dtype == torch.float32
    meant = [-5.0, -5 * math.tanh(0.2), 0.01, 5 * math.tanh(0.4), 5.0]
    assert logits.flatten().tolist() == pytest.approx(meant, rel=1e-2)


def test_logits_that_overflow_an_exponential_give_a_finite_loss():
    hidden = torch.tensor([[300.0], [-300.0]], requires_grad=True)
    weight = torch.tensor([[1.0], [-1.0], [0.0]], requires_grad=True)
    found = fused_loss(hidden, Unembedding(weight, None, 0.0), torch.tensor([0, 0]), torch.ones(2))
    assert found.item() == pytest.approx(300.0)  # (0 + 600) / 2
    found.backward()
    assert hidden.grad.isfinite().all()
    assert weight.grad.isfinite().all()


@pytest.mark.parametrize("cap", [0.0, 2.0], ids=["no cap", "cap"])
def test_bfloat16_rows_give_the_loss_of_single_precision_nearly(cap):
    hidden, weight, bias, targets, weights = problem(20, dtype=torch.bfloat16)
    found = fused_loss(hidden, Unembedding(weight, bias, cap), targets, weights)
    assert found.dtype == torch.float32
    exact = fused_loss(hidden.float(), Unembedding(weight.float(), bias.float(), cap), targets, weights)
    torch.testing.assert_close(found, exact, rtol=0.01, atol=0)
    found.backward()
    assert [leaf.grad.dtype for leaf in (hidden, weight, bias)] == [torch.bfloat16] * 3


@pytest.mark.parametrize("cap", [0.0, 0.7], ids=["no cap", "cap"])
def test_token_scores_are_nats_of_each_target_and_sum_to_one_as_probabilities(cap):
    hidden, weight, bias, targets, _ = problem(19)
    nll, _ = token_scores(hidden, Unembedding(weight, bias, cap), targets)
    logits = hidden @ weight.T + bias
    logits = cap * torch.tanh(logits / cap) if cap else logits
    torch.testing.assert_close(nll, cross_entropy(logits, targets, reduction="none").detach())
    every = [
        token_scores(hidden, Unembedding(weight, bias, cap), torch.full_like(targets, token))[0] for token in range(13)
    ]
    torch.testing.assert_close(torch.stack(every).neg().exp().sum(dim=0), torch.ones(19))


@pytest.mark.parametrize("chunk", [2, 1024])
def test_a_target_hits_where_it_is_likeliest_and_of_equals_only_the_lowest_id_hits(chunk, monkeypatch):
    monkeypatch.setattr(kernel, "CHUNK", chunk)
    logits = torch.tensor([[1.0, 3.0, 3.0, 2.0]] * 4 + [[0.0] * 4] * 4)
    _, hit = token_scores(torch.eye(8), Unembedding(logits.T.contiguous(), None, 0.0), torch.tensor([0, 1, 2, 3] * 2))
    assert hit.tolist() == [False, True, False, False, True, False, False, False]


def test_rows_of_weight_zero_are_not_looked_at_and_cost_no_product():
    hidden, weight, bias, targets, weights = problem(40)
    unembedding, some = Unembedding(weight, bias, 1.5), weights > 0
    meant = torch.autograd.grad(fused_loss(hidden[some], unembedding, targets[some], weights[some]), hidden)
    other = torch.where(some[:, None], hidden, torch.nan).detach().requires_grad_()
    targets = torch.where(some, targets, -100)
    with Largest() as seen:
        found = torch.autograd.grad(fused_loss(other, unembedding, targets, weights), other)
    assert torch.equal(found[0], meant[0])
    assert not found[0][~some].any()
    assert seen.products == [int(some.sum()) * 13, int(some.sum()) * 7, 13 * 7]


@pytest.mark.parametrize("cap", [0.0, 1.5], ids=["no cap", "cap"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_tensor_grows_with_rows_times_vocabulary(cap, dtype, monkeypatch):
    monkeypatch.setattr(kernel, "CHUNK", 4)
    hidden, weight, bias, targets, weights = problem(100, vocabulary=50)
    hidden, unembedding = hidden.to(dtype), Unembedding(weight, bias, cap)
    for form in (
        lambda: fused_loss(hidden, unembedding, targets, weights).backward(),
        lambda: token_scores(hidden, unembedding, targets),
    ):
        with Largest() as seen:
            form()
        assert 0 < seen.elements <= 100 * 7  # the states; all logits are 5000, a chunk's 200


def test_logits_are_held_of_so_many_rows_that_their_bytes_are_bounded():
    rows = {vocabulary: chunk_rows(vocabulary) for vocabulary in (2, 4096, 8192, 49_152, 150_000, 262_144)}
    assert rows[2] == rows[49_152] == 256
    assert all(4 * vocabulary * count <= max(48 * 2**20, 4 * vocabulary * 128) for vocabulary, count in rows.items())
    assert min(rows.values()) == 128


def test_gradients_that_are_not_wanted_are_not_made():
    hidden, weight, bias, targets, weights = problem(9)
    unembedding, frozen = Unembedding(weight, bias, 1.5), Unembedding(weight.detach(), bias.detach(), 1.5)
    counts = []
    for states, head in ((hidden, unembedding), (hidden, frozen), (hidden.detach(), unembedding)):
        with Largest() as seen:
            fused_loss(states, head, targets, weights).backward()
        counts.append(len(seen.products))
    with torch.no_grad(), Largest() as seen:
        value = fused_loss(hidden, unembedding, targets, weights)
    assert [*counts, len(seen.products)] == [3, 2, 2, 1]
    assert not value.requires_grad
    torch.testing.assert_close(value, fused_loss(hidden, unembedding, targets, weights).detach())
    assert (hidden.grad is None, weight.grad is None, bias.grad is None) == (False, False, False)


def test_a_gradient_asked_for_twice_is_the_same_and_both_add_up():
    hidden, weight, bias, targets, weights = problem(9)
    value = fused_loss(hidden, Unembedding(weight, bias, 0.0), targets, weights)
    first, second = (torch.autograd.grad(value, (hidden, weight, bias), retain_graph=True) for _ in range(2))
    value.backward(retain_graph=True)
    value.backward()
    for one, other, added in zip(first, second, (hidden.grad, weight.grad, bias.grad), strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(added, 2 * one)


def test_scores_of_no_rows_are_none_and_those_of_training_are_the_same():
    hidden, weight, bias, targets, _ = problem(9)
    unembedding = Unembedding(weight, bias, 1.5)
    nll, hit = token_scores(hidden[:0], unembedding, targets[:0])
    assert (nll.shape, hit.shape, hit.dtype) == ((0,), (0,), torch.bool)
    nll, _ = token_scores(hidden, unembedding, targets)
    torch.testing.assert_close(nll.mean(), fused_loss(hidden, unembedding, targets, torch.ones(9)).detach())
