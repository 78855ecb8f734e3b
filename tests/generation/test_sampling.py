"""The next token, chosen as formulas and transformers' own processors say."""

import math

import pytest
import torch
from torch import Tensor

from ctxext.generation.sampling import Sampling

LOGITS = torch.tensor([0.5, 2.0, -1.0, 2.5, 1.0, 0.0])


def processed(logits: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """Return the probabilities [V] that transformers draws from."""
    logits_process = pytest.importorskip("transformers").generation.logits_process
    scores = logits_process.TemperatureLogitsWarper(temperature)(None, logits[None])
    if top_k:
        scores = logits_process.TopKLogitsWarper(top_k)(None, scores)
    if top_p < 1:
        scores = logits_process.TopPLogitsWarper(top_p)(None, scores)
    return scores.softmax(dim=-1)[0]


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("top_k", [0, 1, 7, 500])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.97, 1.0])
def test_probabilities_are_those_of_transformers(temperature, top_k, top_p):
    logits = torch.randn(200, generator=torch.Generator().manual_seed(3)) * 2
    found = Sampling(temperature, top_k, top_p, 0).probabilities(logits)
    expected = processed(logits.double(), temperature, top_k, top_p)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_probabilities_follow_the_formula():
    expected = [math.exp(z / 0.7) for z in LOGITS.tolist()]
    expected = [value / sum(expected) for value in expected]
    assert Sampling(0.7, 0, 1.0, 0).probabilities(LOGITS).tolist() == pytest.approx(expected)
    two = [0.0, math.exp(2.0), 0.0, math.exp(2.5), 0.0, 0.0]
    assert Sampling(1.0, 2, 1.0, 0).probabilities(LOGITS).tolist() == pytest.approx([z / sum(two) for z in two])


def test_temperature_0_takes_the_largest_and_so_does_the_one_likeliest():
    draws = [Sampling(1.0, 1, 1.0, seed).choose(LOGITS, count) for seed in range(5) for count in range(20)]
    assert {Sampling(0.0, 0, 1.0, 0).choose(LOGITS, 0), *draws} == {3}
    assert {Sampling(5.0, 0, 1e-9, seed).choose(LOGITS, 0) for seed in range(20)} == {3}


@pytest.mark.parametrize("temperature", [5e-324, 1e-320, 1e-300, 1e308])
@pytest.mark.parametrize("top_k", [0, 3])
def test_the_most_extreme_temperatures_draw_tokens_that_there_are(temperature, top_k):
    sampling = Sampling(temperature, top_k, 1.0, 0)
    drawn = {sampling.choose(LOGITS * 1000, count) for count in range(20)}
    assert sampling.probabilities(LOGITS * 1000).sum() == pytest.approx(1)
    assert drawn == {3} if temperature < 1 else drawn <= set(range(6))


def test_a_seed_gives_the_same_draws_and_another_gives_others():
    draws = [[Sampling(1.0, 0, 1.0, seed).choose(LOGITS, count) for count in range(50)] for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_tokens_are_drawn_as_often_as_their_probabilities_say():
    sampling = Sampling(1.0, 0, 0.9, 0)
    share = torch.bincount(torch.tensor([sampling.choose(LOGITS, i) for i in range(3000)]), minlength=6) / 3000
    expected = sampling.probabilities(LOGITS).float()
    assert not share[expected == 0].any()
    torch.testing.assert_close(share, expected, atol=0.03, rtol=0)


def test_a_draw_at_the_very_end_is_a_token_that_may_be_drawn(monkeypatch):
    class AtTheEnd:
        def random(self) -> float:
            return 1.0

    monkeypatch.setattr("ctxext.generation.sampling.generator", lambda *_: AtTheEnd())
    assert Sampling(1.0, 2, 1.0, 0).choose(LOGITS, 0) == 3
