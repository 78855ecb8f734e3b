import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from ctxext.evaluation.comparison.arms import arms_of, letters
from ctxext.evaluation.comparison.reading import read
from ctxext.maths.intervals import wilson

RunIn = Callable[..., Path]


def of_seed(run_in: RunIn, seed: int, nll: float, folder: str = "", **changes: object) -> Path:
    losses = {"base": {256: [3.0]}, "extended": {256: [nll]}}
    return run_in(folder or f"run{seed}", losses, run={"name": "yarn", "seed": seed}, **changes)


def test_runs_that_differ_only_in_seed_are_one_with_mean_and_deviation(run_in: RunIn) -> None:
    values = [3.1, 3.2, 3.6]
    (arm,) = arms_of(read([of_seed(run_in, seed, nll) for seed, nll in enumerate(values)])[0])
    assert (arm.label, arm.seeds, arm.subject) == ("A", [0, 1, 2], "extended")
    cell = arm.cells("nll", "extended")[256]
    assert cell["value"] == pytest.approx(statistics.fmean(values))
    assert (cell["sd"], cell["seeds"]) == (pytest.approx(statistics.stdev(values)), 3)
    assert "low" not in cell


def test_what_the_seed_does_not_touch_keeps_its_interval(run_in: RunIn) -> None:
    (arm,) = arms_of(read([of_seed(run_in, seed, 3.0 + seed) for seed in (0, 1)])[0])
    cell = arm.cells("nll", "base")[256]
    assert (cell["value"], "low" in cell, "sd" in cell) == (3.0, True, False)


def test_seeds_that_score_alike_by_chance_are_several_and_have_the_interval_of_all_samples(run_in: RunIn) -> None:
    paths = [
        run_in(
            f"run{seed}",
            {"base": {256: [3.0]}},
            {"extended": {256: [0, 1]}, "base": {256: [0, 1]}},
            run={"name": "a", "seed": seed},
        )
        for seed in (0, 1, 2)
    ]
    (arm,) = arms_of(read(paths)[0])
    cell = arm.cells("passkey", "extended")[256]
    assert (cell["value"], cell["sd"], cell["seeds"], cell["n"]) == (0.5, 0.0, 3, 6)
    assert (cell["low"], cell["high"]) == wilson(3, 6)
    assert "seeds" not in arm.cells("passkey", "base")[256]


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"trainer": {"steps": 40}}},
        {"config": {"name": "other"}},
        {"protocol": {"documents": 7}},
    ],
)
def test_runs_that_differ_in_more_than_the_seed_stand_apart(changes: dict[str, object], run_in: RunIn) -> None:
    arms = arms_of(read([of_seed(run_in, 0, 3.1), of_seed(run_in, 1, 3.2, **changes)])[0])
    assert [arm.label for arm in arms] == ["A", "B"]


def test_runs_on_different_data_stand_apart(run_in: RunIn) -> None:
    first = of_seed(run_in, 0, 3.1)
    second = run_in("b", {"base": {256: [3.0]}}, run={"name": "yarn", "seed": 1, "data": {"digest": "other"}})
    assert len(arms_of(read([first, second])[0])) == 2


def test_a_run_and_its_repetition_are_two(run_in: RunIn) -> None:
    paths = [of_seed(run_in, 0, 3.1, folder) for folder in ("once", "again")]
    assert len(arms_of(read(paths)[0])) == 2


def test_a_run_without_its_configuration_is_never_folded(run_in: RunIn) -> None:
    paths = [of_seed(run_in, seed, 3.1) for seed in (0, 1)]
    for path in paths:
        (path / "config.yaml").unlink()
    assert len(arms_of(read(paths)[0])) == 2


@pytest.mark.parametrize(
    ("subjects", "stands"), [("base zero_shot extended", "extended"), ("base zero_shot", "zero_shot"), ("base", "base")]
)
def test_the_most_trained_subject_stands_for_the_run(subjects: str, stands: str, run_in: RunIn) -> None:
    (arm,) = arms_of(read([run_in("a", {subject: {256: [3.0]} for subject in subjects.split()})])[0])
    assert arm.subject == stands


def test_labels_go_on_after_z() -> None:
    assert [letters(index) for index in (0, 25, 26, 27, 52)] == ["A", "Z", "AA", "AB", "BA"]
