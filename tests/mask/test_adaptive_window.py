from decimal import Decimal, getcontext

import pytest
import torch

from ctxext.kernels.gather import gather
from ctxext.mask.adaptive_window import AdaptiveWindow
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places
from ctxext.position.nope import Nope
from ctxext.refusal import Refusal

getcontext().prec = 50


def width(count: int, trained: int, gamma: float) -> int:
    """Return the window of the `count`th token, in 50 digits; a power within 1e-30 of a whole number is whole."""
    if count <= trained:
        return count
    exact = trained * (Decimal(count) / trained) ** Decimal(str(gamma))
    return int((exact - Decimal("1e-30")).to_integral_value(rounding="ROUND_CEILING"))


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("trained", [1, 16, 30, 200])
def test_a_token_sees_the_pairs_of_the_formula(seen, trained, gamma):
    length = 150
    visible = seen(AdaptiveWindow(trained, gamma), length)[0]
    for query in range(length):
        size = width(query + 1, trained, gamma)
        assert visible[query].tolist() == [0 <= query - key < size for key in range(length)]


@pytest.mark.parametrize(("gamma", "roots"), [(0.4, 2), (0.5, 1), (0.8, 4)])
@pytest.mark.parametrize("trained", [6, 16, 20, 100, 4096])
def test_windows_are_whole_where_their_powers_are(trained, gamma, roots):
    power = 2 if gamma == 0.5 else 5  # n = L b^power has the window L b^roots, which doubles may miss by a bit
    counts = torch.tensor([trained * base**power for base in (2, 3, 7)])
    assert AdaptiveWindow(trained, gamma).widths(counts).tolist() == [trained * base**roots for base in (2, 3, 7)]


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.99, 1.0])
def test_it_is_causal_up_to_the_trained_length(seen, gamma):
    assert torch.equal(seen(AdaptiveWindow(16, gamma), 16), seen(IntraDocument(), 16))


@pytest.mark.parametrize(("length", "same"), [(15, True), (16, True), (60, False)])
def test_the_kernel_gathers_the_bits_of_the_causal_mask_up_to_the_trained_length(length, same):
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 2, length, 8) for _ in range(3))
    places = Places.of(torch.arange(length)[None])
    plain, windowed = (
        gather(q, k, v, places, places, mask.views(), Nope(), None)
        for mask in (IntraDocument(), AdaptiveWindow(16, 0.5))
    )
    assert torch.equal(plain, windowed) is same


def test_it_hides_something_one_token_later(seen):
    assert seen(AdaptiveWindow(16, 0.5), 17)[0, 16].tolist() == [True] * 17  # ceil(16.49) is 17
    assert seen(AdaptiveWindow(16, 0.5), 18)[0, 17].tolist() == [False] + [True] * 17


@pytest.mark.parametrize("gamma", [0.2, 0.5, 0.8])
def test_what_a_token_no_longer_sees_no_later_token_sees_again(gamma):
    counts = torch.arange(1, 5000)
    firsts = counts - AdaptiveWindow(100, gamma).widths(counts)
    assert (firsts.diff() >= 0).all()


def test_its_ends_are_a_window_and_the_causal_mask(seen):
    assert torch.equal(seen(AdaptiveWindow(16, 0.0), 40), seen(SlidingWindow(16), 40))
    assert AdaptiveWindow(16, 1.0).views() == IntraDocument().views()
    assert AdaptiveWindow(16, 0.5).off(99) == AdaptiveWindow(16, 1.0)
    assert AdaptiveWindow(16, 0.5).base() == IntraDocument()


@pytest.mark.parametrize(
    ("trained", "gamma", "rule"),
    [
        (0, 0.5, r"mask\.trained_length must be at least 1 token, got 0"),
        (16, 1.5, r"mask\.gamma must be from 0 to 1, got 1.5"),
        (16, -0.1, r"mask\.gamma must be from 0 to 1, got -0.1"),
    ],
)
def test_an_impossible_growth_is_refused(trained, gamma, rule):
    with pytest.raises(Refusal, match=rule):
        AdaptiveWindow(trained, gamma)
