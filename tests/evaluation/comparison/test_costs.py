from collections.abc import Callable
from pathlib import Path

import pytest

from ctxext.evaluation.comparison.arms import Arm, arms_of
from ctxext.evaluation.comparison.costs import costs, exports, short_costs, unmeasured
from ctxext.evaluation.comparison.pairing import differences, pairs_of
from ctxext.evaluation.comparison.reading import read

RunIn = Callable[..., Path]


def arms(*paths: Path) -> list[Arm]:
    return arms_of(read(list(paths))[0])


def test_short_text_costs_the_largest_change_up_to_the_trained_length(run_in: RunIn) -> None:
    base = {128: [3.0, 3.1], 256: [2.9, 3.0], 512: [4.0, 4.1]}
    method = {128: [3.02, 3.14], 256: [2.91, 3.0], 512: [9.0, 9.0]}
    runs = arms(run_in("a", {"base": base, "extended": method}))
    rows, _ = differences(pairs_of(runs, runs[0]), ["nll"])
    (found,) = short_costs(runs, rows)
    assert (found["run"], found["subject"], found["length"]) == ("A", "extended", 128)
    assert found["difference"] == pytest.approx(0.03)
    assert found["low"] <= 0.03 <= found["high"]


def test_without_a_base_nothing_is_known_of_it(run_in: RunIn) -> None:
    runs = arms(run_in("a", {"extended": {256: [3.0]}}))
    assert short_costs(runs, differences(pairs_of(runs, runs[0]), ["nll"])[0]) == []


def test_costs_and_exports_are_those_of_each_run(run_in: RunIn) -> None:
    cost = [{"subject": "base", "length": 256, "ms_per_token": 0.2}]
    export = {"format": "hf", "label": "exact", "others": [{"format": "gguf", "label": "approximate"}]}
    runs = arms(run_in("a", {"base": {256: [3.0]}}, cost=cost, export=export), run_in("b", {"base": {256: [3.0]}}))
    assert costs(runs) == [{"run": "A", **cost[0]}]
    assert exports(runs) == [
        {"run": "A", "format": "hf", "label": "exact"},
        {"run": "A", "format": "gguf", "label": "approximate"},
    ]


def test_what_was_not_measured_is_told_once_for_all_that_lack_it(run_in: RunIn) -> None:
    missing = [
        {"subject": "base", "what": "cost", "reason": "out of time"},
        {"subject": "base", "what": "by_length", "length": 512, "reason": "in the table"},
    ]
    runs = arms(*(run_in(name, {"base": {256: [3.0]}}, missing=missing) for name in "ab"))
    assert unmeasured(runs) == ["A, B: base cost: out of time"]


def test_controls_whose_counted_costs_agree_stand_once_with_medians_of_times(run_in: RunIn) -> None:
    row = {"subject": "base", "length": 256, "parameters": 5}
    paths = [
        run_in(name, {"base": {256: [3.0]}}, cost=[row | {"ms_per_token": time}])
        for name, time in (("a", 0.2), ("b", 0.4), ("c", 0.9))
    ]
    assert costs(arms(*paths)) == [{"run": "", **row, "ms_per_token": 0.4}]
    other = run_in("d", {"base": {256: [3.0]}}, cost=[row | {"parameters": 6}])
    assert [one["run"] for one in costs(arms(*paths, other))] == ["A", "B", "C", "D"]


def test_a_reason_of_many_runs_and_subjects_is_one_sentence(run_in: RunIn) -> None:
    missing = [{"subject": subject, "what": "cost", "reason": "no clock"} for subject in ("base", "extended")]
    runs = arms(*(run_in(name, {"base": {256: [3.0]}}, missing=missing) for name in "abc"))
    assert unmeasured(runs) == ["all runs: base, extended cost: no clock"]
