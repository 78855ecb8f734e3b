"""Formulas are those of the product's own classes, and no class of a user is taken for one of them."""

from ctxext.mask.sliding_window import SlidingWindow
from ctxext.proving.known import formula_of

FORMULAS = {"mask.sliding_window.SlidingWindow": "q - k < W"}


class Wider(SlidingWindow):
    """A class of the user's own, made from one of the product's."""


class Named:
    """One that only bears its name."""

    __qualname__ = "SlidingWindow"


def test_a_member_has_the_formula_of_its_own_class_and_a_class_of_the_users_has_none():
    assert formula_of(SlidingWindow(3), FORMULAS) == "q - k < W"
    assert formula_of(Wider(3), FORMULAS) is None
    assert formula_of(Named(), FORMULAS) is None
