"""xPos."""

import numpy as np
import pytest
import torch

from ctxext.kernels.gather import gather
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places
from ctxext.position.xpos import XPos, decays
from ctxext.refusal import Refusal

WIDTH = 16
MEMBER = XPos(1e4, 512.0)


def dense(q: np.ndarray, k: np.ndarray, distances: np.ndarray, scale_base: float) -> np.ndarray:
    """Return q k zeta^(distance / scale_base) cos(distance x frequency + angle between them), summed over the pairs."""
    pair = np.arange(WIDTH // 2)
    frequencies, zeta = 1e4 ** (-2 * pair / WIDTH), (2 * pair + 0.4 * WIDTH) / (1.4 * WIDTH)
    q, k = (heads[..., : WIDTH // 2] + 1j * heads[..., WIDTH // 2 :] for heads in (q, k))
    turned = q[:, None] * np.exp(1j * distances[..., None] * frequencies)
    return (zeta ** (distances[..., None] / scale_base) * (turned * k[None].conj()).real).sum(-1)


def heads(length: int, seed: int) -> torch.Tensor:
    return torch.randn(1, 1, length, WIDTH, generator=torch.Generator().manual_seed(seed))


def test_zeta_has_the_golden_values():
    picked = decays(32)[[0, 4, 8, 12, 15]].tolist()
    assert picked == pytest.approx([0.2857143, 0.4642857, 0.6428571, 0.8214286, 0.9553571], rel=1e-6)


@pytest.mark.parametrize("scale_base", [20.0, 512.0])
@pytest.mark.parametrize("mask", [IntraDocument(), SlidingWindow(9)])
def test_attention_is_that_of_the_formula(mask, scale_base):
    length = 40
    q, k, v = (heads(length, seed) for seed in range(3))
    places = Places.of(torch.arange(length)[None])
    found = gather(q, k, v, places, places, mask.views(), XPos(1e4, scale_base), None)
    distances = np.arange(length)[:, None] - np.arange(length)
    logits = dense(q[0, 0].double().numpy(), k[0, 0].double().numpy(), distances, scale_base) / WIDTH**0.5
    seen = (distances >= 0) & (distances < getattr(mask, "window", length))
    weights = np.where(seen, np.exp(logits), 0)
    expected = weights / weights.sum(1, keepdims=True) @ v[0, 0].double().numpy()
    np.testing.assert_allclose(found[0, 0].double().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [100, 10_000, 65_000])
def test_near_pairs_have_the_same_score_at_both_ends_of_a_text_and_in_its_middle(length):
    q, k = heads(1, 0), heads(1, 1)
    lengths = torch.tensor([[length]])
    exact = dense(q[0, 0].double().numpy(), k[0, 0].double().numpy(), np.array([[40]]), 512.0).item()
    for place in (0, length // 2, length - 41):
        query, key = (Places.of(torch.tensor([[at]]))._replace(lengths=lengths) for at in (place + 40, place))
        score = (MEMBER.rotate(q, query) * MEMBER.rotate_keys(k, key)).sum().item()
        assert score == pytest.approx(exact, rel=0.01, abs=0.02)


def test_the_limit_is_the_length_up_to_which_no_power_is_cut_and_all_stay_finite_beyond():
    assert MEMBER.limit() == 65_391  # 2 x 80 x 512 / ln 3.5
    for dtype in (torch.float32, torch.bfloat16):
        for position in (0, 50_000, 100_000, 1_000_000):
            place = Places.of(torch.tensor([[position]]))._replace(lengths=torch.tensor([[100_000]]))
            for turned in (
                MEMBER.rotate(heads(1, 0).to(dtype), place),
                MEMBER.rotate_keys(heads(1, 0).to(dtype), place),
            ):
                assert turned.dtype == dtype
                assert turned.isfinite().all()
                assert turned.any()


def test_queries_in_the_middle_are_as_they_are_in_plain_rotation_and_keys_are_the_inverse_of_queries():
    place = Places.of(torch.tensor([[10]]))._replace(lengths=torch.tensor([[20]]))
    torch.testing.assert_close(MEMBER.rotate(heads(1, 0), place), super(XPos, MEMBER).rotate(heads(1, 0), place))
    far = place.at(torch.tensor([[500]]))
    plain = super(XPos, MEMBER).rotate(heads(1, 0), far)
    torch.testing.assert_close(MEMBER.rotate(heads(1, 0), far) * MEMBER.rotate_keys(heads(1, 0), far), plain**2)


def test_it_is_trained_from_scratch():
    assert MEMBER.base() == MEMBER
    assert MEMBER.off(16) is None


def test_a_scale_without_a_meaning_is_refused():
    with pytest.raises(Refusal, match=r"position\.scale_base must be above 0, got 0"):
        XPos(1e4, 0.0)
