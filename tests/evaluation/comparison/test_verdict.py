from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.evaluation.comparison.assembly import compared
from ctxext.evaluation.comparison.reading import read
from ctxext.evaluation.comparison.verdict import decisive

RunIn = Callable[..., Path]
TEXT = [3.0, 3.6, 2.4, 4.1, 3.3, 2.8, 3.9, 3.1]
NOISE = [0.02, -0.02, 0.01, -0.01, 0.015, -0.02, 0.01, -0.005]


def moved(by: float) -> list[float]:
    return [value + by + noise for value, noise in zip(TEXT, NOISE, strict=True)]


def verdict(run_in: RunIn, *runs: dict[str, list[float]], **changes: Any) -> str:
    """Return the verdict on `runs`, each with the losses of its subjects at the target."""
    names = iter("xyzw")
    paths = [
        run_in(next(names), {subject: {1024: values} for subject, values in losses.items()}, **changes)
        for losses in runs
    ]
    sentence: str = compared(*read(paths))["verdict"]
    assert sentence.count(". ") == 0
    assert sentence.endswith(".")
    return sentence


def test_the_better_of_two_is_named_with_its_interval(run_in: RunIn) -> None:
    said = verdict(run_in, {"extended": moved(0.5)}, {"extended": TEXT})
    assert said.startswith("At 1024 tokens B (y) has a lower nll than A (x) (B - A -0.500 nats, 95% -0.5")
    assert said.endswith("one seed each.")


def test_the_direction_does_not_depend_on_the_order(run_in: RunIn) -> None:
    assert "A (x) has a lower nll than B (y)" in verdict(run_in, {"extended": TEXT}, {"extended": moved(0.5)})


def test_what_may_be_chance_is_called_so(run_in: RunIn) -> None:
    said = verdict(run_in, {"extended": TEXT}, {"extended": moved(0.001)})
    assert "A (x) and B (y) can't be told apart on nll" in said
    assert "lower" not in said


def test_it_says_when_dropping_the_old_text_does_better(run_in: RunIn) -> None:
    said = verdict(run_in, {"base": moved(1.0), "truncated": TEXT, "extended": moved(0.3)})
    assert "truncated beats A: dropping the old text does better (A - truncated +0.300 nats" in said
    assert "A beats base (A - base -0.700" in said


@pytest.mark.parametrize(
    ("by", "words"), [(-0.3, "A beats truncated"), (0.0, "A can't be told from truncated"), (0.3, "truncated beats A")]
)
def test_the_control_is_always_judged(by: float, words: str, run_in: RunIn) -> None:
    assert words in verdict(run_in, {"truncated": TEXT, "extended": moved(by)})


def test_a_task_is_judged_beside_the_text(run_in: RunIn) -> None:
    ranks = {"extended": {1024: [0] * 20}, "truncated": {1024: [1] * 20}}
    paths = [
        run_in("x", {"extended": {1024: TEXT}, "truncated": {1024: TEXT}}, ranks),
        run_in("y", {"extended": {1024: TEXT}, "truncated": {1024: TEXT}}, ranks | {"extended": {1024: [1] * 20}}),
    ]
    said = compared(*read(paths))["verdict"]
    assert "on passkey A scores above B and truncated" in said


def test_runs_on_other_data_are_not_ranked(run_in: RunIn) -> None:
    one = run_in("x", {"extended": {1024: TEXT}})
    other = run_in("y", {"extended": {1024: moved(0.5)}}, run={"data": {"digest": "other", "tokenizer": "t"}})
    said = compared(*read([one, other]))["verdict"]
    assert "A (x) and B (y) can't be compared" in said
    assert "lower" not in said


def test_without_a_common_length_nothing_is_said(run_in: RunIn) -> None:
    paths = [run_in("x", {"extended": {256: TEXT}}), run_in("y", {"extended": {512: TEXT}})]
    assert compared(*read(paths))["verdict"].startswith("Nothing can be said")


def test_the_common_target_decides_or_else_the_longest_length() -> None:
    assert decisive([512, 512], {256, 512, 1024}) == 512
    assert decisive([512, 1024], {256, 512, 1024}) == 1024
    assert decisive([4096, 4096], {256, 512}) == 512
