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
    ranks = {"extended": {256: [0, 1, 0], 512: [1, 1, 0]}}
    rows = between(found(arms(*(run(run_in, name, LOWER, ranks=ranks) for name in "ab")))[0])
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


def test_each_of_many_runs_meets_the_best_alone(run_in: RunIn) -> None:
    runs = arms(*(run_in(name, {"extended": {256: BASE}}) for name in "abcd"))
    names = {pair.name for pair in pairs_of(runs, runs[2])}
    assert names == {"A - C", "B - C", "D - C"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"run": {"data": {"digest": "e", "tokenizer": "t"}}}, "the data differ (digests d and e)"),
        ({"run": {"data": {"digest": "d", "tokenizer": "u"}}}, "the tokenizers differ (t and u)"),
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


@pytest.mark.parametrize(
    ("protocol", "measures"),
    [
        ({"documents": 5, "scored_tokens": 32}, {"passkey"}),
        ({"documents": 5, "scored_tokens": 10, "passkey": "other", "time": "other"}, {"nll"}),
        ({"documents": 5, "scored_tokens": 10, "needles": "one more", "time": "other"}, {"nll", "passkey"}),
        ({"documents": 5, "scored_tokens": 10, "truncated_stride": 8}, {"nll", "passkey"}),
    ],
)
def test_only_a_measure_whose_own_definition_differs_is_not_subtracted(
    protocol: dict[str, Any], measures: set[str], run_in: RunIn
) -> None:
    ranks = {"extended": {256: [0, 1, 0]}}
    one, other = run(run_in, "a", BASE, ranks=ranks), run(run_in, "b", LOWER, ranks=ranks, protocol=protocol)
    rows, missing = found(arms(one, other))
    assert {row["measure"] for row in between(rows)} == measures
    assert len(missing) == 2 - len(measures)
    assert all("no difference is computed, the protocols differ (" in sentence for sentence in missing)


def test_p_values_are_corrected_over_all_pairs_and_lengths_of_a_measure(run_in: RunIn) -> None:
    losses = {"truncated": {256: BASE, 512: BASE}}
    paths = [
        run_in(name, losses | {"extended": {256: values, 512: LOWER}})
        for name, values in zip("abc", (BASE, LOWER, BASE), strict=True)
    ]
    rows, _ = found(arms(*paths), "nll")
    assert len(rows) == 2 * (2 + 3)
    assert [row["p_holm"] for row in rows] == holm([row["p"] for row in rows])


def test_many_pairs_that_lack_a_difference_for_one_reason_share_a_sentence(run_in: RunIn) -> None:
    other = {"run": {"data": {"digest": "e", "tokenizer": "t"}}}
    rows, missing = found(arms(run(run_in, "a", BASE), *(run(run_in, name, LOWER, **other) for name in "bcd")))
    assert between(rows) == []
    assert missing == ["B - A, C - A, D - A: no difference is computed, the data differ (digests d and e)"]


def test_other_documents_at_a_length_are_not_subtracted_there(run_in: RunIn) -> None:
    one, other = run(run_in, "a", BASE), run(run_in, "b", LOWER)
    lines = [json.loads(line) for line in (other / "documents.jsonl").read_text(encoding="utf-8").splitlines()]
    changed = [line | {"sizes": 41.0 if line["length"] == 512 else line["sizes"]} for line in lines]
    (other / "documents.jsonl").write_text("".join(json.dumps(line) + "\n" for line in changed), encoding="utf-8")
    rows, missing = found(arms(one, other))
    assert [row["length"] for row in between(rows)] == [256]
    assert missing == ["nll: B - A: no difference is computed at 512, where what was scored differs"]


def test_other_samples_are_not_subtracted(run_in: RunIn) -> None:
    paths = [
        run_in(name, {"extended": {256: BASE}}, {"extended": {256: ranks}})
        for name, ranks in (("a", [0, 0]), ("b", [0, 0, 1]))
    ]
    rows, missing = found(arms(*paths))
    assert [row["measure"] for row in between(rows)] == ["nll"]
    assert missing == ["passkey: B - A: no difference is computed at 256, where what was scored differs"]


def test_a_run_of_an_earlier_version_says_what_it_lacks(run_in: RunIn) -> None:
    one, other = run(run_in, "a", BASE), run(run_in, "b", LOWER)
    (other / "documents.jsonl").unlink()
    rows, missing = found(arms(one, other))
    assert between(rows) == []
    assert missing == [
        "nll: B: no difference is computed without documents.jsonl, as in runs of earlier versions; measure it again"
    ]


def test_a_run_of_an_earlier_version_has_the_intervals_of_its_own_differences_and_no_p(run_in: RunIn) -> None:
    row = {"subject": "extended", "length": 256, "nll": 3.1, "perplexity": 22.0, "tokens": 50, "low": 3.0, "high": 3.2}
    row |= {"minus_base": -0.14, "minus_base_low": -0.2, "minus_base_high": -0.1, "minus_truncated": 0.3}
    old = run_in("a", {"base": {256: BASE}, "extended": {256: LOWER}}, by_length=[row, row | {"subject": "base"}])
    (old / "documents.jsonl").unlink()
    (difference,), missing = found(arms(old))
    assert (difference["difference"], difference["low"], difference["high"], difference["pairs"]) == (
        -0.14,
        -0.2,
        -0.1,
        5,
    )
    assert "p" not in difference
    assert missing == []


def test_a_task_without_filler_is_none_of_context(run_in: RunIn) -> None:
    paths = [run_in(name, {"extended": {256: BASE}}, {"extended": {0: [0], 256: [0]}}) for name in "ab"]
    rows = between(found(arms(*paths))[0])
    assert [(row["measure"], row["length"]) for row in rows] == [("nll", 256), ("passkey", 256)]


def test_a_number_of_all_documents_together_has_no_difference(run_in: RunIn) -> None:
    language = [{"subject": "extended", "measure": "longppl", "length": 256, "value": 9.0}]
    language.append(language[0] | {"measure": "sliding"})
    paths = [run_in(name, {"extended": {256: BASE}}, language=language) for name in "abc"]
    rows, missing = found(arms(*paths), "longppl", "sliding")
    assert rows == []
    reason = "no difference is computed, since it is one number of all documents or pairs together"
    assert missing == [f"longppl, sliding: {reason}"]


def test_folded_seeds_are_compared_by_their_mean_and_say_how_many(run_in: RunIn) -> None:
    seeds = [
        run(run_in, f"a{seed}", [value + seed for value in BASE], run={"name": "a", "seed": seed}) for seed in (0, 1)
    ]
    rows = between(found(arms(*seeds, run(run_in, "b", BASE)))[0])
    assert rows[0]["difference"] == pytest.approx(-0.5)
    assert rows[0]["seeds"] == 2
    assert rows[0]["low"] < -1 < 0 < rows[0]["high"]  # two seeds that are 1 nat apart say next to nothing
    assert rows[0]["p"] > 0.1
