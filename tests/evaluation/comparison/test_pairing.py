import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.evaluation.comparison.arms import Arm, arms_of
from ctxext.evaluation.comparison.pairing import differences, pairs_of
from ctxext.evaluation.comparison.reading import read
from ctxext.evaluation.results import Row
from ctxext.maths.mcnemar import mcnemar
from ctxext.maths.multiple import holm

RunIn = Callable[..., Path]
BASE = [3.0, 3.5, 2.5, 4.0, 3.2]
LOWER = [2.9, 3.4, 2.45, 3.8, 3.1]


def arms(*paths: Path) -> list[Arm]:
    return arms_of(read(list(paths))[0])


def found(runs: list[Arm], *measures: str) -> tuple[list[Row], list[str]]:
    return differences(pairs_of(runs, runs[0]), measures or ("nll", "passkey"))


def between(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["first"] != row["second"]]


def run(run_in: RunIn, name: str, values: list[float], **changes: Any) -> Path:
    return run_in(name, {"base": {256: BASE}, "extended": {256: values, 512: values}}, **changes)


def test_a_run_differs_from_itself_by_0_with_p_1(run_in: RunIn) -> None:
    path = run(run_in, "a", LOWER, ranks={"extended": {256: [0, 1, 0], 512: [1, 1, 0]}})
    rows = between(found(arms(path, path))[0])
    assert [(row["measure"], row["length"]) for row in rows] == [
        ("nll", 256),
        ("nll", 512),
        ("passkey", 256),
        ("passkey", 512),
    ]
    assert all((row["difference"], row["p"], row["p_holm"]) == (0.0, 1.0, 1.0) for row in rows)


def test_the_order_of_the_runs_turns_every_sign(run_in: RunIn) -> None:
    one = run(run_in, "a", BASE, ranks={"extended": {256: [0, 0, 0, 1, 0]}})
    other = run(run_in, "b", LOWER, ranks={"extended": {256: [1, 0, 1, 0, 1]}})
    forward, backward = (between(found(arms(*paths))[0]) for paths in ((one, other), (other, one)))
    assert len(forward) == len(backward) == 3
    for row, turned in zip(forward, backward, strict=True):
        assert row["difference"] == pytest.approx(-turned["difference"])
        assert (row["low"], row["high"]) == pytest.approx((-turned["high"], -turned["low"]))
        assert (row["p"], row["pairs"]) == (turned["p"], turned["pairs"])


def test_a_difference_is_later_minus_earlier_over_all_tokens(run_in: RunIn) -> None:
    rows = between(found(arms(run(run_in, "a", BASE), run(run_in, "b", LOWER)))[0])
    assert (rows[0]["first"], rows[0]["second"], rows[0]["pairs"]) == ("B", "A", 5)
    assert rows[0]["difference"] == pytest.approx(sum(LOWER) / 5 - sum(BASE) / 5)
    assert rows[0]["low"] <= rows[0]["difference"] <= rows[0]["high"] < 0


def test_right_and_wrong_are_tested_by_mcnemar_and_lengths_are_corrected_together(run_in: RunIn) -> None:
    first = {256: [0] * 10, 512: [0] * 7 + [1] * 3}
    second = {256: [1] * 8 + [0] * 2, 512: [0] * 4 + [1] * 6}
    losses = {"extended": {256: BASE, 512: BASE}}
    paths = [run_in("a", losses, {"extended": first}), run_in("b", losses, {"extended": second})]
    rows = [row for row in between(found(arms(*paths))[0]) if row["measure"] == "passkey"]
    assert [row["p"] for row in rows] == [mcnemar(0, 8), mcnemar(0, 3)]
    assert [row["p_holm"] for row in rows] == holm([row["p"] for row in rows])
    assert rows[0]["difference"] == pytest.approx(-0.8)


def test_each_run_is_compared_with_its_own_controls(run_in: RunIn) -> None:
    losses = {"base": {256: BASE}, "truncated": {256: BASE}, "extended": {256: LOWER}}
    rows, _ = found(arms(run_in("a", losses)))
    assert [(row["first"], row["second"], row["second_subject"]) for row in rows] == [
        ("A", "A", "base"),
        ("A", "A", "truncated"),
    ]


def test_every_run_meets_the_first_and_the_best(run_in: RunIn) -> None:
    runs = arms(*(run_in(name, {"extended": {256: BASE}}) for name in "abcd"))
    names = {pair.name for pair in pairs_of(runs, runs[2])}
    assert names == {"B - A", "C - A", "D - A", "C - B", "D - C"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"run": {"data": {"digest": "e", "tokenizer": "t"}}}, "the data differ (digests d and e)"),
        ({"run": {"data": {"digest": "d", "tokenizer": "u"}}}, "the tokenizers differ (t and u)"),
        ({"protocol": {"documents": 5, "scored_tokens": 32}}, "the protocols differ (scored_tokens: 10 and 32)"),
        ({"run": {"data": {}}}, "the data differ (digests d and unknown)"),
    ],
)
def test_what_was_not_measured_alike_is_not_subtracted_and_the_reason_is_given(
    changes: dict[str, Any], reason: str, run_in: RunIn
) -> None:
    rows, missing = found(arms(run(run_in, "a", BASE), run(run_in, "b", LOWER, **changes)))
    assert between(rows) == []
    assert missing == [f"B - A: no difference is computed, {reason}"]
    assert {row["first"] for row in rows} == {"A", "B"}  # each still has its own controls


def test_other_documents_at_a_length_are_not_subtracted_there(run_in: RunIn) -> None:
    one, other = run(run_in, "a", BASE), run(run_in, "b", LOWER)
    lines = [json.loads(line) for line in (other / "documents.jsonl").read_text(encoding="utf-8").splitlines()]
    changed = [line | {"sizes": 41.0 if line["length"] == 512 else line["sizes"]} for line in lines]
    (other / "documents.jsonl").write_text("".join(json.dumps(line) + "\n" for line in changed), encoding="utf-8")
    rows, missing = found(arms(one, other))
    assert [row["length"] for row in between(rows)] == [256]
    assert missing == ["nll: B - A, no difference is computed at 512, where what was scored differs"]


def test_other_samples_are_not_subtracted(run_in: RunIn) -> None:
    paths = [
        run_in(name, {"extended": {256: BASE}}, {"extended": {256: ranks}})
        for name, ranks in (("a", [0, 0]), ("b", [0, 0, 1]))
    ]
    rows, missing = found(arms(*paths))
    assert [row["measure"] for row in between(rows)] == ["nll"]
    assert missing == ["passkey: B - A, no difference is computed at 256, where what was scored differs"]


def test_a_run_of_an_earlier_version_says_what_it_lacks(run_in: RunIn) -> None:
    one, other = run(run_in, "a", BASE), run(run_in, "b", LOWER)
    (other / "documents.jsonl").unlink()
    rows, missing = found(arms(one, other))
    assert between(rows) == []
    assert missing == [
        "nll: no difference is computed, B has no documents.jsonl, as runs of earlier versions; measure it again"
    ]


def test_a_task_without_filler_is_none_of_context(run_in: RunIn) -> None:
    paths = [run_in(name, {"extended": {256: BASE}}, {"extended": {0: [0], 256: [0]}}) for name in "ab"]
    rows = between(found(arms(*paths))[0])
    assert [(row["measure"], row["length"]) for row in rows] == [("nll", 256), ("passkey", 256)]


def test_a_number_of_all_documents_together_has_no_difference(run_in: RunIn) -> None:
    language = [{"subject": "extended", "measure": "longppl", "length": 256, "value": 9.0}]
    paths = [run_in(name, {"extended": {256: BASE}}, language=language) for name in "ab"]
    rows, missing = found(arms(*paths), "longppl")
    assert rows == []
    assert missing == ["longppl: no difference is computed, it is one number of all documents, and none has its own"]


def test_folded_seeds_are_compared_by_their_mean_and_say_how_many(run_in: RunIn) -> None:
    seeds = [
        run(run_in, f"a{seed}", [value + seed for value in BASE], run={"name": "a", "seed": seed}) for seed in (0, 1)
    ]
    rows = between(found(arms(*seeds, run(run_in, "b", BASE)))[0])
    assert rows[0]["difference"] == pytest.approx(-0.5)
    assert rows[0]["seeds"] == 2
