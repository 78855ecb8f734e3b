import itertools

import pytest

from ctxext.maths.multiple import holm


def test_a_known_family() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_no_family_and_one_are_left_as_they_are() -> None:
    assert holm([]) == []
    assert holm([0.3]) == [0.3]


@pytest.mark.parametrize("family", list(itertools.permutations([0.001, 0.02, 0.02, 0.4, 0.9])))
def test_corrected_values_keep_the_order_and_are_never_smaller_nor_above_1(family: tuple[float, ...]) -> None:
    corrected = holm(family)
    assert all(p <= q <= 1 for p, q in zip(family, corrected, strict=True))
    pairs = sorted(zip(family, corrected, strict=True))
    assert [q for _, q in pairs] == sorted(corrected)


def test_it_lies_between_no_correction_and_bonferronis() -> None:
    family = [0.002, 0.011, 0.03]
    assert all(q <= len(family) * p for p, q in zip(family, holm(family), strict=True))
    assert holm(family)[0] == pytest.approx(len(family) * family[0])
