import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.evaluation.comparison.assembly import compared
from ctxext.evaluation.comparison.reading import read

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


def test_a_run_without_nll_is_left_out_by_name_and_does_not_silence_the_others(run_in: RunIn) -> None:
    paths = [run_in("x", {"extended": {1024: TEXT}}), run_in("y", {"extended": {1024: moved(0.5)}})]
    other = run_in("z", {"base": {1024: TEXT}}, {"extended": {1024: [0] * 20}}, run={"name": "z"})
    said = compared(*read([*paths, other]))["verdict"]
    assert "A (x) has a lower nll than B (y)" in said
    assert "left out, without nll at 1024: C (z)" in said


def test_without_nll_a_task_decides_and_more_of_it_is_better(run_in: RunIn) -> None:
    ranks = [{"extended": {1024: [0] * 20}, "truncated": {1024: [1] * 20}}, {"extended": {1024: [1] * 20}}]
    paths = [run_in(name, {"base": {1: [3.0]}}, some, by_length=[]) for name, some in zip("xy", ranks, strict=True)]
    said = compared(*read(paths))["verdict"]
    assert "A (x) has a higher passkey than B (y) (B - A -1.000" in said
    assert "A beats truncated (A - truncated +1.000" in said
    alone = compared(*read(paths[:1]))["verdict"]
    assert "A (x) has passkey 1; A beats truncated" in alone


def test_five_documents_never_beat(run_in: RunIn) -> None:
    said = verdict(run_in, {"extended": TEXT[:5]}, {"extended": moved(1.0)[:5]})
    assert "A (x) and B (y) can't be told apart" in said


def test_without_a_common_length_nothing_is_said(run_in: RunIn) -> None:
    paths = [run_in("x", {"extended": {256: TEXT}}), run_in("y", {"extended": {512: TEXT}})]
    assert compared(*read(paths))["verdict"].startswith("Nothing can be said")


def test_of_many_runs_and_measures_the_sentence_names_few(run_in: RunIn) -> None:
    many = [TEXT[index % 8] + index / 100 for index in range(16)]
    levels = (0.5, *(index / 4 for index in range(12)))
    losses = [{"truncated": {1024: many}, "extended": {1024: [value + by for value in many]}} for by in levels]
    paths = [run_in(f"run{index}", loss) for index, loss in enumerate(losses)]
    tasks = ("passkey", "one", "two")
    for number, path in enumerate(paths):
        ranks = {"truncated": 1, "extended": int(number != 1)}
        rows = [
            {"subject": subject, "task": task, "length": 1024, "depth": 0.5, "index": index, "seed": 0, "rank": rank}
            for task in tasks
            for subject, rank in ranks.items()
            for index in range(20)
        ]
        (path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        content = json.loads((path / "results.json").read_text(encoding="utf-8"))
        total = {"length": 1024, "depth": "all", "metric": "accuracy", "chance": 0.1, "n": 20, "low": 0.0, "high": 1.0}
        content["tasks"] = [
            {"subject": subject, "task": task, "value": float(not rank)} | total
            for task in tasks
            for subject, rank in ranks.items()
        ]
        (path / "results.json").write_text(json.dumps(content), encoding="utf-8")
    said = compared(*read(paths))["verdict"]
    assert "B (run1) has a lower nll than C (run2) and 11 others (nearest: C - B +0.250" in said
    assert "of 3 other measures B against truncated is better in 3" in said
    assert "another run is better than B in none of them" in said
    assert len(said) < 500
