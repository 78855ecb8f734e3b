"""Rotation by digits."""

import cmath
from itertools import product

import pytest
import torch

from ctxext.places import Places
from ctxext.position.grid import GridRope
from ctxext.refusal import Refusal

HEADS = torch.randn(1, 1, 1, 16, generator=torch.Generator().manual_seed(0))


def at(position: int) -> Places:
    return Places.of(torch.tensor([[position]]))


def digits_of(position: int, radix: int, dims: int) -> list[int]:
    """Return the digits of `position`, the lowest first; what is left is the top one."""
    digits = []
    for _ in range(dims - 1):
        position, digit = divmod(position, radix)
        digits.append(digit)
    return [*digits, position]


@pytest.mark.parametrize(("radix", "dims"), [(8, 2), (3, 3), (2, 4)])
@pytest.mark.parametrize("position", [0, 1, 7, 8, 9, 63, 64, 100, 4095])
def test_each_pair_turns_by_its_own_digit(radix, dims, position):
    found = GridRope(1e4, radix, dims).rotate(HEADS, at(position))[0, 0, 0].tolist()
    digits = digits_of(position, radix, dims)
    for pair in range(8):
        angle = digits[pair % dims] * 1e4 ** (-2 * pair / 16)
        turned = complex(HEADS[0, 0, 0, pair], HEADS[0, 0, 0, pair + 8]) * cmath.exp(1j * angle)
        assert found[pair] == pytest.approx(turned.real, abs=1e-5)
        assert found[pair + 8] == pytest.approx(turned.imag, abs=1e-5)


def test_no_two_positions_stand_alike():
    encoding = GridRope(1e4, 8, 2)
    turned = [encoding.rotate(HEADS, at(position)) for position in range(64)]
    assert all(not torch.allclose(a, b, atol=1e-4) for i, a in enumerate(turned) for b in turned[:i])


def score(encoding: GridRope, query: int, key: int) -> float:
    return float((encoding.rotate(HEADS, at(query)) * encoding.rotate(HEADS.flip(-1), at(key))).sum())


def test_a_score_stays_when_both_move_by_the_period_and_changes_with_a_carry():
    encoding = GridRope(1e4, 4, 3)
    assert encoding.period() == 16
    for query, key in product((3, 7, 30), (0, 3)):
        assert score(encoding, query, key) == pytest.approx(score(encoding, query + 48, key + 48), abs=1e-4)
    assert score(encoding, 3, 2) != pytest.approx(score(encoding, 4, 3), abs=1e-2)


def test_a_step_back_from_the_start_is_a_step_of_the_lowest_digit():
    assert GridRope(1e4, 8, 2).digits(torch.tensor([[-1, -9, 9]])).tolist() == [[[-1, 0], [-1, -1], [1, 1]]]


def test_the_option_s_digits_reach_the_context_and_none_but_the_top_leaves_the_trained_length(built):
    position = built("position=grid_rope", "base=none").position
    assert (position.radix, position.dims, position.base()) == (32, 2, position)  # 32 ** 2 is 1024


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: GridRope(1e4, 1, 2), "position.radix must be at least 2, got 1"),
        (lambda: GridRope(1e4, 8, 1), "position.dims must be at least 2 digits, got 1; one is position=rope"),
        (
            lambda: GridRope(1e4, 8, 9).rotate(HEADS, at(0)),
            "position.dims=9 digits need as many pairs, and there are 8",
        ),
    ],
)
def test_settings_without_a_meaning_are_refused(make, sentence):
    with pytest.raises(Refusal) as refused:
        make()
    assert sentence in str(refused.value)
