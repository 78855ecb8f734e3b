import numpy as np
import pytest

from ctxext.evaluation.comparison.scores import Score
from ctxext.evaluation.comparison.seeds import Items, widened
from ctxext.maths.paired import Difference, paired_difference

RUNS, DOCUMENTS = 120, 20


def drawn(generator: np.random.Generator, first: int, second: int, spread: float, by: float = 0.0) -> Items:
    """Return the scores of two arms of `first` and `second` seeds, which differ in truth by `by` alone."""
    text = generator.normal(3.0, 0.5, DOCUMENTS)
    sides = []
    for count, shift in ((first, by), (second, 0.0)):
        seeds = generator.normal(0.0, spread, (count, 1))
        sides.append(text + shift + seeds + generator.normal(0.0, 0.05, (count, DOCUMENTS)))
    return [tuple(score(side[:, item]) for side in sides) for item in range(DOCUMENTS)]  # type: ignore[misc]


def score(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Score:
    return Score(float(values.mean()), 1.0, "", tuple(values) if len(values) > 1 else ())


def judged(items: Items) -> tuple[Difference, Difference]:
    """Return the difference over documents alone, and over seeds, too."""
    first, second = (np.array([pair[side].value for pair in items]) for side in (0, 1))
    found = paired_difference(first, second, np.ones(len(items)))
    return found, widened(found, items, False, (True, True))


@pytest.mark.parametrize(("first", "second"), [(3, 3), (5, 2), (3, 1), (2, 2)])
def test_equal_methods_are_told_apart_by_chance_alone_however_much_seeds_spread(first: int, second: int) -> None:
    generator = np.random.default_rng(0)
    pairs = [judged(drawn(generator, first, second, 0.1)) for _ in range(RUNS)]
    assert np.mean([narrow.p < 0.05 for narrow, _ in pairs]) > 0.3  # documents alone mislead
    assert np.mean([wide.p < 0.05 for _, wide in pairs]) <= 0.09
    assert np.mean([wide.low <= 0 <= wide.high for _, wide in pairs]) >= 0.91


def test_a_difference_beyond_the_spread_of_seeds_is_found() -> None:
    generator = np.random.default_rng(1)
    assert np.mean([judged(drawn(generator, 3, 3, 0.02, by=-0.3))[1].p < 0.05 for _ in range(50)]) > 0.9


def test_one_seed_each_is_as_documents_say() -> None:
    narrow, wide = judged(drawn(np.random.default_rng(2), 1, 1, 0.1))
    assert narrow == wide


def test_a_control_without_seeds_adds_no_spread() -> None:
    items = drawn(np.random.default_rng(3), 3, 1, 0.1)
    found = Difference(0.2, 0.1, 0.3, 0.001)
    trained, untrained = (widened(found, items, False, (True, is_trained)) for is_trained in (True, False))
    assert trained.high > untrained.high > found.high


def test_seeds_of_one_run_are_paired_with_those_of_its_control() -> None:
    rows = np.random.default_rng(4).normal(3.0, 0.5, (3, DOCUMENTS))
    items = [(score(rows[:, item] - 0.1), score(rows[:, item])) for item in range(DOCUMENTS)]
    found = Difference(-0.1, -0.1, -0.1, 0.001)
    same = widened(found, items, True, (True, False))
    assert same.low == pytest.approx(-0.1)
    assert widened(found, items, False, (True, True)).low < -0.2
