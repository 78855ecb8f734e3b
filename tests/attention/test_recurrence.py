from dataclasses import replace

import pytest
import torch

from ctxext.attention.recurrence import Recurrence
from ctxext.attention.softmax import Softmax
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.refusal import Refusal
from ctxext.seams import Heads

LENGTH, SEGMENT = 26, 6
TIMES = torch.arange(LENGTH)
DISTANCES = TIMES[:, None] - TIMES
OWN = (DISTANCES >= 0) & (TIMES[:, None] // SEGMENT == TIMES // SEGMENT)


def memory(count: int) -> torch.Tensor:
    """Return the pairs [S, S] whose key is one of the `count` tokens before the query's segment."""
    start = (TIMES // SEGMENT * SEGMENT)[:, None]
    return (start - count <= TIMES) & (start > TIMES)


@pytest.mark.parametrize("count", [0, 4, 6, 15, 20, 100])
def test_a_query_sees_its_segment_and_the_memory_before_it(count, drawn_heads, gathered, dense, agree):
    heads = drawn_heads(LENGTH)
    expected = dense(heads, DISTANCES, OWN | memory(count))
    agree(heads, gathered(Recurrence(SEGMENT, count), heads), expected)
    found = gathered(Recurrence(SEGMENT, count).in_training(), heads)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.fixture
def projected():
    """Return a function from states [1, S, W] and weights to heads that are made from these states."""

    def make(x: torch.Tensor, weights: dict[str, torch.Tensor]) -> Heads:
        def project(states):
            return tuple((states @ weight).reshape(1, LENGTH, -1, 8).transpose(1, 2) for weight in weights.values())

        return Heads(*project(x), (), x, project)

    return make


def drawn_weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = {"q": 4, "k": 2, "v": 2}
    return {
        name: (torch.randn(12, count * 8, dtype=torch.float64, generator=generator) / 3).requires_grad_()
        for name, count in sizes.items()
    }


def test_in_training_no_gradient_comes_to_the_memorised_states_but_to_the_projections(projected, gathered, dense):
    x = torch.randn(1, LENGTH, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    weights = drawn_weights()
    heads, remembered = projected(x, weights), projected(x.detach(), weights)
    both = replace(heads, k=torch.cat((heads.k, remembered.k), 2), v=torch.cat((heads.v, remembered.v), 2))
    expected = dense(both, DISTANCES.repeat(1, 2), torch.cat((OWN, memory(9)), dim=1))
    found = gathered(Recurrence(SEGMENT, 9).in_training(), heads)
    loss_weights = torch.linspace(-1, 1, found.numel()).reshape(found.shape)
    leaves = x, *weights.values()
    gradients = [
        torch.autograd.grad((part * loss_weights).sum(), leaves, retain_graph=True) for part in (found, expected)
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_the_last_segment_reaches_states_before_it_only_outside_training(projected, gathered):
    member, weights = Recurrence(SEGMENT, 9), drawn_weights()
    x = torch.randn(1, LENGTH, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    start = LENGTH // SEGMENT * SEGMENT
    for attention, reaches in ((member, True), (member.in_training(), False)):
        outputs = gathered(attention, projected(x, weights))
        (gradient,) = torch.autograd.grad(outputs[:, :, start:].sin().sum(), x)
        assert bool(gradient[:, :start].any()) is reaches
        assert gradient[:, start:].any()


@pytest.mark.parametrize("form", [lambda member: member, Recurrence.in_training], ids=["read", "trained"])
def test_segments_begin_anew_with_each_document(form, drawn_heads, gathered, projected):
    x = torch.randn(1, LENGTH, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    lengths, attention, heads = (3, 16, 7), form(Recurrence(SEGMENT, 4)), projected(x, drawn_weights())
    documents = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))
    packed = gathered(attention, heads, documents=documents).split(lengths, dim=2)
    for number, found in enumerate(packed):
        here = slice(sum(lengths[:number]), sum(lengths[: number + 1]))
        q, k, v = (part[:, :, here] for part in (heads.q, heads.k, heads.v))
        alone = Heads(q, k, v, (), x[:, here], lambda states, parts=(q, k, v): parts)
        torch.testing.assert_close(found, gathered(attention, alone), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", [lambda member: member, Recurrence.in_training], ids=["read", "trained"])
def test_it_reads_through_a_window_and_a_cache(form, drawn_heads, gathered, dense, last_queries):
    heads = drawn_heads(LENGTH)
    expected = dense(heads, DISTANCES, (OWN | memory(9)) & (DISTANCES < 7))[:, :, -5:]
    cached = last_queries(heads, 5)
    cached = replace(cached, project=lambda states: tuple(part[:, :, -5:] for part in heads.project(states)))
    found = gathered(form(Recurrence(SEGMENT, 9)), cached, mask=SlidingWindow(7))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_queries_scored_a_few_at_a_time_find_the_same_keys(drawn_heads, gathered, monkeypatch):
    heads, attention = drawn_heads(LENGTH), Recurrence(SEGMENT, 4).in_training()
    expected = gathered(attention, heads)
    monkeypatch.setattr("ctxext.kernels.tiles.BLOCK", 7)
    torch.testing.assert_close(gathered(attention, heads), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 6, LENGTH])
def test_within_one_segment_it_is_softmax_to_the_bit(length, drawn_heads, gathered):
    heads, off = drawn_heads(length), Recurrence(SEGMENT, 4).off(length)
    expected = gathered(Softmax(), heads)
    assert torch.equal(gathered(off, heads), expected)
    assert torch.equal(gathered(off.in_training(), heads), expected)
    assert off.base() == Softmax()


@pytest.mark.parametrize(
    ("settings", "message"), [((0, 2), "segment .* 1 token, got 0"), ((4, -1), "memory .* got -1")]
)
def test_settings_without_a_meaning_are_refused(settings, message):
    with pytest.raises(Refusal, match=rf"attention\.{message}"):
        Recurrence(*settings)
