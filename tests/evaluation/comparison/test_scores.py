import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ctxext.evaluation.comparison.arms import arms_of
from ctxext.evaluation.comparison.reading import read
from ctxext.evaluation.comparison.scores import scores_of

RunIn = Callable[..., Path]


def test_a_document_is_its_sum_and_its_tokens(run_in: RunIn) -> None:
    (arm,) = arms_of(read([run_in("a", {"base": {256: [3.0, 2.0], 512: [4.0]}})])[0])
    found = scores_of(arm, "nll", "base")
    assert sorted(found) == [256, 512]
    assert found[256]["d1",][:2] == (20.0, 10.0)
    assert scores_of(arm, "nll", "extended") == {}


def test_a_sample_is_right_if_its_rank_is_the_first_or_has_its_score(run_in: RunIn) -> None:
    folder = run_in("a", {"base": {256: [3.0]}}, {"base": {256: [0, 2]}})
    lines = (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    shared = json.loads(lines[0]) | {"index": 2, "score": 0.25}
    (folder / "samples.jsonl").write_text("\n".join([*lines, json.dumps(shared)]), encoding="utf-8")
    (arm,) = arms_of(read([folder])[0])
    assert [score.value for score in scores_of(arm, "passkey", "base")[256].values()] == [1.0, 0.0, 0.25]


def test_seeds_are_averaged_item_by_item_and_an_item_that_one_lacks_is_left_out(run_in: RunIn) -> None:
    losses = [{"extended": {256: [3.0, 5.0]}}, {"extended": {256: [4.0]}}]
    same = {"scored_tokens": 10, "documents": 2}
    runs = [
        run_in(f"a{seed}", loss, run={"name": "a", "seed": seed}, protocol=same) for seed, loss in enumerate(losses)
    ]
    (arm,) = arms_of(read(runs)[0])
    found = scores_of(arm, "nll", "extended")[256]
    assert [(item, score.value) for item, score in found.items()] == [(("d0",), pytest.approx(35.0))]


def test_pairs_of_an_application_are_told_apart_by_group_and_metric(run_in: RunIn) -> None:
    folder = run_in("a", {"base": {256: [3.0]}})
    row = {"subject": "base", "application": "qa", "length": 256, "source": "s", "targets": ["t"]}
    rows = [
        row | {"group": "who", "index": 0, "scores": {"f1": 0.5, "em": 0.0}},
        row | {"group": "when", "index": 1, "scores": {"f1": 0.7, "em": 1.0}},
    ]
    (folder / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (arm,) = arms_of(read([folder])[0])
    found = scores_of(arm, "qa/who/f1", "base")[256]
    assert [score.value for score in found.values()] == [0.5]
    assert scores_of(arm, "qa/f1", "base") == {}
    (folder / "predictions.jsonl").write_text(json.dumps(rows[0] | {"weight": 8}) + "\n", encoding="utf-8")
    (arm,) = arms_of(read([folder])[0])
    (score,) = scores_of(arm, "qa/who/f1", "base")[256].values()
    assert score[:2] == (4.0, 8.0)
    assert scores_of(arm, "qa/who/bleu", "base") == {}
