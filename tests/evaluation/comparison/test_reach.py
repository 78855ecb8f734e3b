from collections.abc import Callable
from pathlib import Path
from typing import Any

from ctxext.evaluation.comparison.arms import arms_of
from ctxext.evaluation.comparison.reach import effective_lengths
from ctxext.evaluation.comparison.reading import read
from ctxext.evaluation.results import Row

RunIn = Callable[..., Path]
LOSSES = {"base": {256: [3.0]}, "extended": {256: [3.0]}}


def reached(subject: str, length: int, **more: Any) -> Row:
    return {"subject": subject, "rule": "nll(0.05)", "length": length, "at_least": False} | more


def found(*paths: Path) -> list[Row]:
    return effective_lengths(arms_of(read(list(paths))[0]))


def test_a_control_that_all_agree_on_stands_once(run_in: RunIn) -> None:
    rows = found(
        run_in("a", LOSSES, effective_length=[reached("base", 256), reached("extended", 1024, low=512)]),
        run_in("b", LOSSES, effective_length=[reached("base", 256), reached("extended", 2048)]),
    )
    assert [(row["run"], row["subject"], row["length"]) for row in rows] == [
        ("", "base", 256),
        ("A", "extended", 1024),
        ("B", "extended", 2048),
    ]
    assert rows[1]["low"] == 512


def test_a_control_that_differs_stands_with_its_run(run_in: RunIn) -> None:
    rows = found(
        run_in("a", LOSSES, effective_length=[reached("base", 256)]),
        run_in("b", LOSSES, effective_length=[reached("base", 512)]),
    )
    assert [(row["run"], row["length"]) for row in rows] == [("A", 256), ("B", 512)]


def test_what_has_no_length_has_the_reason(run_in: RunIn) -> None:
    missing = [{"subject": "extended", "what": "effective_length nll(0.05)", "reason": "already worse"}]
    rows = found(run_in("a", LOSSES, missing=missing))
    assert rows == [{"run": "A", "subject": "extended", "rule": "nll(0.05)", "reason": "already worse"}]


def test_over_seeds_it_is_the_median_the_lower_of_two(run_in: RunIn) -> None:
    lengths = [2048, 256, 512, 1024]
    paths = [
        run_in(f"a{seed}", LOSSES, run={"name": "a", "seed": seed}, effective_length=[reached("extended", length)])
        for seed, length in enumerate(lengths)
    ]
    (row,) = found(*paths)
    assert (row["length"], row["seeds"], row["lengths"]) == (512, 4, lengths)


def test_a_seed_that_failed_a_rule_is_below_the_shortest(run_in: RunIn) -> None:
    missing = [{"subject": "extended", "what": "effective_length nll(0.05)", "reason": "already worse"}]

    def of(name: str, lengths: list[int]) -> Row:
        paths = [
            run_in(
                f"{name}{seed}",
                LOSSES,
                run={"name": name, "seed": seed},
                effective_length=[reached("extended", length)] if length else [],
                missing=[] if length else missing,
            )
            for seed, length in enumerate(lengths)
        ]
        (row,) = found(*paths)
        return row

    most = of("a", [2048, 0, 1024])
    assert (most["length"], most["seeds"], sorted(most["lengths"])) == (1024, 3, [0, 1024, 2048])
    assert of("b", [0, 0, 1024])["reason"] == "2 of 3 seeds have none: already worse"
    assert "length" not in of("c", [0, 1024])


def test_a_control_stands_once_though_some_runs_have_seeds_and_some_lack_it(run_in: RunIn) -> None:
    paths = [
        run_in(f"a{seed}", LOSSES, run={"name": "a", "seed": seed}, effective_length=[reached("base", 256)])
        for seed in (0, 1)
    ]
    paths += [run_in("b", LOSSES, effective_length=[reached("base", 256)]), run_in("c", LOSSES)]
    assert [(row["run"], row["length"]) for row in found(*paths)] == [("", 256)]
