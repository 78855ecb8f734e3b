import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.evaluation.comparison.reading import Absent, folders, leaves, read
from ctxext.refusal import Refusal

LOSSES = {"base": {256: [3.0, 3.2]}}


def test_a_run_is_read_with_its_leaves_by_dotted_key(run_in: Callable[..., Path]) -> None:
    (record,), absent = read([run_in("a", LOSSES, config={"seed": 3, "mask": {}, "stop": [1, {"a": 2}]})])
    assert record.results.run["name"] == "a"
    assert record.config == {
        "name": "a",
        "seed": 3,
        "cache": str(record.path),
        "run": "",
        "trainer.steps": 30,
        "mask": {},
        "stop": [1, {"a": 2}],
    }
    assert [row["document"] for row in record.documents] == ["d0", "d1"]
    assert (record.samples, record.predictions, absent) == ([], [], [])


def test_a_sweep_is_its_runs_in_the_order_of_their_numbers(run_in: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("sweep/10_c", "sweep/2_b", "sweep/0_a"):
        run_in(name, LOSSES)
    (tmp_path / "sweep" / ".hydra").mkdir()
    assert [folder.name for folder in folders(tmp_path / "sweep")] == ["0_a", "2_b", "10_c"]


def test_the_file_of_results_stands_for_its_run(run_in: Callable[..., Path]) -> None:
    folder = run_in("a", LOSSES)
    assert folders(folder / "results.json") == [folder]


def test_a_job_that_failed_is_told_and_left_out(run_in: Callable[..., Path], tmp_path: Path) -> None:
    run_in("sweep/0_a", LOSSES)
    failed = run_in("sweep/1_b", LOSSES)
    (failed / "results.json").unlink()
    (failed / "failure.json").write_text(json.dumps({"status": "failed", "sentence": "no memory"}), encoding="utf-8")
    records, absent = read([tmp_path / "sweep"])
    assert len(records) == 1
    assert absent == [Absent(failed, 1, "no results.json (failed: no memory)")]


def test_a_run_from_before_documents_were_kept_is_read(run_in: Callable[..., Path]) -> None:
    folder = run_in("a", LOSSES)
    for name in ("documents.jsonl", "samples.jsonl", "config.yaml"):
        (folder / name).unlink()
    (record,), _ = read([folder])
    assert (record.documents, record.samples, record.config) == ([], [], {})


def change(name: str, text: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (change("documents.jsonl", '{"subject": "base"\n'), "documents.jsonl:1: not JSON"),
        (change("documents.jsonl", "[]\n"), "documents.jsonl:1: lacks 'subject', 'length'"),
        (change("samples.jsonl", '{"subject": "base"}\n'), "samples.jsonl:1: lacks 'task', 'length'"),
        (change("samples.jsonl", "[" * 100_000), "samples.jsonl:1: not JSON"),
        (change("samples.jsonl", " " * 20_000_000), "samples.jsonl:1: must have at most 16777216 bytes"),
        (change("results.json", "[" * 100_000), "results.json: not JSON"),
        (change("config.yaml", "a: &a [x]\nb: *a\n"), "config.yaml: YAML may not refer to parts of itself"),
        (change("config.yaml", "a: [\n"), "config.yaml: can't be read as YAML"),
        (change("config.yaml", "- a\n"), "config.yaml: must hold keys and values, got list"),
        (change("results.json", '{"schema": 2}'), "results.json: schema must be 1, got 2; a newer ctxext wrote it"),
        (lambda folder: (folder / "results.json").unlink(), "none of the runs has a results.json"),
    ],
)
def test_a_file_that_breaks_the_contract_is_named(
    spoil: Callable[[Path], Any], sentence: str, run_in: Callable[..., Path]
) -> None:
    folder = run_in("a", LOSSES)
    spoil(folder)
    with pytest.raises(Refusal) as refused:
        read([folder])
    assert sentence in str(refused.value)


def test_what_is_no_run_and_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"neither a run, .+ nor a sweep"):
        read([tmp_path])
    with pytest.raises(Refusal, match="no such folder"):
        read([tmp_path / "nowhere"])


def test_an_empty_part_is_a_leaf() -> None:
    assert dict(leaves({"a": {"b": {}, "c": {"d": 1}}}, "")) == {"a.b": {}, "a.c.d": 1}
