"""From samples to records and rows: whichever way a task is scored."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from torch import nn

from ctxext.data.corpus import Corpus
from ctxext.data.material import CorpusMaterial
from ctxext.evaluation.answers.scoring import score_samples, task_rows
from ctxext.evaluation.ground import Ground, Samples
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.reader import WholeReader
from ctxext.evaluation.results import Row
from ctxext.evaluation.settings import Evaluation
from ctxext.refusal import Refusal
from ctxext.tasks.suite import TASKS

CONTRACT = {"subject", "task", "length", "depth", "index", "seed", "positions", "answer", "candidates"}


@pytest.fixture
def ground(
    make_settings: Callable[..., Evaluation],
    make_ground: Callable[..., Ground],
    corpus: Corpus,
    tokenizer: Tokenizer,
) -> Callable[[str], Ground]:
    def of(task: str, length: int = 96) -> Ground:
        settings = make_settings(tasks=[task], lengths=[length], samples=4)
        bare = make_ground(make_settings(lengths=[96]), 32, corpus, tokenizer)
        try:
            samples = Samples(task, settings, CorpusMaterial(corpus, tokenizer))
        except Refusal:  # it needs more room than that
            return of(task, 700)
        if samples.unfit:  # some do
            return of(task, 700)
        return dataclasses.replace(bare, settings=settings, samples={task: samples})

    return of


@pytest.mark.parametrize("task", TASKS)
def test_a_record_has_the_keys_of_the_contract_and_a_row_follows(
    task: str, ground: Callable[[str], Ground], network: nn.Module, tmp_path: Path
) -> None:
    there, reader = ground(task), WholeReader(network, 1000)
    for length, samples in there.samples[task].items():
        records = score_samples("base", reader, samples, there, Ledger(tmp_path / "a.jsonl"))
        is_by_depth = there.settings.parameters.task(task).is_by_depth
        total, *cells = task_rows(records, is_by_depth)

        for record in records:
            assert record.keys() >= CONTRACT
            assert ("rank" in record) != ("score" in record)
            assert 0 <= record["depth"] <= 1
            assert (record["subject"], record["task"], record["length"]) == ("base", task, length)
        assert (total["depth"], total["n"], len(cells)) == ("all", 4, 2 if is_by_depth and length else 0)
        assert 0 <= total["low"] <= total["value"] <= total["high"] <= 1
        assert 0 <= total["chance"] < 1


def test_the_answer_is_the_gold_candidate(ground: Callable[[str], Ground], network: nn.Module, tmp_path: Path) -> None:
    there = ground("passkey")
    samples = there.samples["passkey"][96]
    records = score_samples("base", WholeReader(network, 1000), samples, there, Ledger(tmp_path / "a.jsonl"))
    for record, sample in zip(records, samples, strict=True):
        assert record["answer"] == record["candidates"][0]
        assert len(set(record["candidates"])) == 10
        (place,) = record["positions"]
        assert f"is {record['answer'].strip()}" in there.tokenizer.decode(sample.tokens[place:])


def records_of(ranks: dict[float, list[int]]) -> list[Row]:
    common = {"subject": "base", "task": "passkey", "length": 64, "metric": "accuracy", "chance": 0.1}
    return [common | {"depth": depth, "rank": rank} for depth, found in ranks.items() for rank in found]


def test_rows_count_rank_0_over_all_and_at_each_depth() -> None:
    rows = task_rows(iter(records_of({0.0: [0, 0, 3, 0], 1.0: [1, 0, 9, 2]})), is_by_depth=True)

    assert [(row["depth"], row["value"], row["n"]) for row in rows] == [("all", 0.5, 8), (0.0, 0.75, 4), (1.0, 0.25, 4)]
    for row in rows:
        assert (row["metric"], row["chance"]) == ("accuracy", 0.1)
        assert row["low"] < row["value"] < row["high"]


def test_shares_are_averaged_with_an_interval_around_them() -> None:
    common = {"subject": "base", "task": "copy", "length": 64, "metric": "token accuracy", "chance": 0.0, "depth": 0.0}
    (row,) = task_rows([common | {"score": score} for score in (0.25, 0.5, 0.75, 1.0)], is_by_depth=False)

    assert row["value"] == pytest.approx(0.625)
    assert 0 < row["low"] < 0.625 < row["high"] < 1
