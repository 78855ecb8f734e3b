from collections.abc import Callable
from pathlib import Path
from typing import Any

from ctxext.evaluation.comparison.arms import arms_of
from ctxext.evaluation.comparison.configuration import configuration
from ctxext.evaluation.comparison.reading import read

LOSSES = {"base": {256: [3.0]}}
RunIn = Callable[..., Path]


def differing(paths: list[Path]) -> dict[str, Any]:
    found = configuration(arms_of(read(paths)[0]))
    return {row["key"]: row["values"] for row in found["differ"]}


def test_only_what_differs_is_named_and_never_the_folders(run_in: RunIn) -> None:
    one = run_in("a", LOSSES, config={"seed": 0, "position": {"_target_": "ctxext.position.rope.Yarn", "factor": 4.0}})
    other = run_in("b", LOSSES, config={"seed": 1, "position": {"_target_": "ctxext.position.rope.Rope"}, "run": "x"})
    assert differing([one, other]) == {
        "name": {"A": "a", "B": "b"},
        "seed": {"A": 0, "B": 1},
        "position": {"A": "Yarn", "B": "Rope"},
        "position.factor": {"A": 4.0},
    }


def test_a_run_differs_from_itself_in_nothing(run_in: RunIn) -> None:
    paths = [run_in(folder, LOSSES, run={"name": "a"}) for folder in ("once", "again")]
    assert configuration(arms_of(read(paths)[0])) == {"keys": 3, "differ": []}


def test_folded_seeds_are_named_together(run_in: RunIn) -> None:
    seeds = [run_in(f"a{seed}", LOSSES, run={"name": "a", "seed": seed}) for seed in (0, 1)]
    other = run_in("b", LOSSES, config={"trainer": {"steps": 1}})
    found = differing([*seeds, other])
    assert found["seed"] == {"A": [0, 1], "B": 0}
    assert found["trainer.steps"] == {"A": 30, "B": 1}
