"""Scores kept line by line: what is known isn't asked for again, and memory that runs short halves a batch."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from ctxext.evaluation.ledger import Ledger, OutOfMemoryError, within_memory

KEYS = [f"key {number}" for number in range(7)]


class Squares:
    """Scores numbers, and notes which it was asked for; more than `most` at once don't fit into memory."""

    def __init__(self, most: int = 100, error: BaseException | None = None) -> None:
        self.most, self.asked = most, list[list[int]]()
        self.error = error or RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    def __call__(self, run: range) -> Sequence[int]:
        self.asked.append(list(run))
        if len(run) > self.most:
            raise self.error
        return [number**2 for number in run]


def test_scores_come_in_order_and_are_asked_for_in_runs(tmp_path: Path) -> None:
    score = Squares()

    assert Ledger(tmp_path / "a" / "b.jsonl").through(KEYS, score, 3) == [0, 1, 4, 9, 16, 25, 36]
    assert score.asked == [[0, 1, 2], [3, 4, 5], [6]]


def test_what_is_known_is_not_asked_for_and_runs_stay_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    Ledger(path).through(KEYS[:4], Squares(), 3)
    score = Squares()

    assert Ledger(path).through(KEYS, score, 3) == [0, 1, 4, 9, 16, 25, 36]
    assert score.asked == [[3, 4, 5], [6]]


def test_a_line_that_was_cut_off_is_unknown_and_spoils_none_after_it(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    Ledger(path).through(KEYS, Squares(), 3)
    path.write_bytes(path.read_bytes()[:-5])

    assert set(KEYS) - Ledger(path).known.keys() == {"key 6"}
    Ledger(path).through(KEYS, Squares(), 3)
    assert Ledger(path).known == {key: number**2 for number, key in enumerate(KEYS)}


def test_every_run_is_on_the_disk_before_the_next_is_scored(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"

    def score(run: range) -> Sequence[int]:
        if run.start:
            assert len(path.read_text().splitlines()) == run.start
        return list(run)

    Ledger(path).through(KEYS, score, 2)


def test_a_number_that_is_not_finite_is_not_kept(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "b.jsonl")
    with pytest.raises(ValueError, match="not JSON compliant"):
        ledger.add({"a": float("nan")})
    assert not ledger.path.exists()


def test_other_weights_lines_are_json(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "b.jsonl")
    ledger.add({"a": {"nll": 0.1 + 0.2}})

    assert json.loads(ledger.path.read_text()) == ["a", {"nll": 0.1 + 0.2}]
    assert Ledger(ledger.path).known == ledger.known


@pytest.mark.parametrize(
    "error",
    [
        *(None, MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")),
        *(RuntimeError("CUDA error: out of memory"), RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")),
    ],
)
def test_short_memory_halves_the_run(error: BaseException | None) -> None:
    score = Squares(2, error)

    assert within_memory(score, range(3, 10)) == [number**2 for number in range(3, 10)]
    assert max(len(asked) for asked in score.asked[-2:]) <= 2


def test_memory_too_short_for_one_is_said() -> None:
    with pytest.raises(OutOfMemoryError):
        within_memory(Squares(0), range(4))


def test_another_failure_is_no_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        within_memory(Squares(0, RuntimeError("shapes don't fit")), range(4))
