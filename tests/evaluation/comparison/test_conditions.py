from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.evaluation.comparison.arms import arms_of
from ctxext.evaluation.comparison.conditions import changed, same, warnings
from ctxext.evaluation.comparison.reading import read

LOSSES = {"base": {256: [3.0]}}
RunIn = Callable[..., Path]


def found(run_in: RunIn, **run: Any) -> tuple[list[str], list[str]]:
    """Return what a run and another, which is `run`, share, and the warnings."""
    arms = arms_of(read([run_in("a", LOSSES), run_in("b", LOSSES, run=run)])[0])
    return same(arms), warnings(arms)


def test_equal_conditions_are_named_and_warn_of_nothing(run_in: RunIn) -> None:
    shared, warned = found(run_in)
    assert shared[:5] == ["base", "data", "tokenizer", "protocol", "seeds"]
    assert warned == []


@pytest.mark.parametrize(
    ("run", "gone", "warning"),
    [
        (
            {"trained_tokens": 1000},
            "trained tokens",
            "trained tokens: A 3,000; B 1,000: the budgets are not equal",
        ),
        ({"steps": 60}, "steps", "steps: A 30; B 60: the budgets are not equal"),
        ({"base": "hf"}, "base", "base: A pkg://tiny; B hf"),
        ({"seed": 4}, "seeds", "seeds: A 0; B 4; part of a difference may come from the seed"),
        ({"versions": {"torch": "3"}}, "versions", "made with other versions: torch 2.9 or 3"),
        (
            {"data": {"digest": "e", "tokenizer": "t"}},
            "data",
            "data differs: no difference between A and B is computed",
        ),
        (
            {"data": {"digest": "d", "tokenizer": "u"}},
            "tokenizer",
            "tokenizer differs: no difference between A and B is computed",
        ),
    ],
)
def test_what_is_unequal_is_not_shared_and_warned_of(
    run: dict[str, Any], gone: str, warning: str, run_in: RunIn
) -> None:
    shared, warned = found(run_in, **run)
    assert gone not in shared
    assert warned == [warning]


def test_other_definitions_are_warned_of(run_in: RunIn) -> None:
    other = run_in("b", LOSSES, protocol={"documents": 5})
    assert warnings(arms_of(read([run_in("a", LOSSES), other])[0])) == [
        "protocol differs in documents: no difference in what these define is computed"
    ]


def test_what_no_run_says_is_not_shared(run_in: RunIn) -> None:
    paths = [run_in(name, LOSSES, run={"data": {}}) for name in ("a", "b")]
    assert not {"data", "tokenizer"}.intersection(same(arms_of(read(paths)[0])))


def test_only_libraries_that_changed_are_named() -> None:
    assert changed([{"torch": "1", "numpy": "2"}, {"torch": "1", "numpy": "3"}, None]) == [
        "torch 1 or none",
        "numpy 2 or 3 or none",
    ]


def test_tokens_and_steps_of_the_same_runs_are_one_warning_and_the_untrained_have_no_seed(run_in: RunIn) -> None:
    _, warned = found(run_in, steps=0, trained_tokens=0, seed=3)
    assert warned == ["trained tokens: A 3,000 in 30 steps; B none: the budgets are not equal"]


def test_a_caution_of_the_protocol_is_a_warning_once(run_in: RunIn) -> None:
    protocol = {"documents": 1, "scored_tokens": 10, "caution": "of 1 documents: too few"}
    arms = arms_of(read([run_in(name, LOSSES, protocol=protocol) for name in "ab"])[0])
    assert warnings(arms) == ["of 1 documents: too few"]
