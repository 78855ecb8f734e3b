"""Pairs go into the results at the length that holds them, none is lost without a word, and none is asked twice."""

import math
from collections.abc import Callable
from dataclasses import replace
from importlib import util
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from torch import nn

from ctxext.data.corpus import Corpus
from ctxext.data.documents import Document
from ctxext.data.sources import Sotu
from ctxext.evaluation.answers.continuation import Ending
from ctxext.evaluation.applications import applied as module
from ctxext.evaluation.applications.application import Item
from ctxext.evaluation.applications.applied import APPLICATIONS, applied, by_length, check_scorer, items_of
from ctxext.evaluation.applications.question_answering import QuestionAnswering
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.reader import WholeReader
from ctxext.evaluation.results import check_rows
from ctxext.refusal import Refusal

SHORT = [Document(f"s{number}", f"word {number}", "yes", group="en-de") for number in range(3)]
LONG = [Document(f"l{number}", f"many words {number} " * 6, "no", ("nay",), group="de-en") for number in range(2)]


def ground_for(paired: Callable[..., Any], application: str, **given: Any) -> Any:
    given = {"lengths": [24, 96], "documents": 60} | given
    return paired(SHORT + LONG, application=application, **given)


@pytest.mark.parametrize("application", APPLICATIONS)
def test_rows_fit_the_contract_and_every_pair_has_a_record(
    application: str, paired: Callable[..., Any], network: nn.Module, tmp_path: Path
) -> None:
    ground = ground_for(paired, application, held_out=["de-en"])
    found = applied("base", WholeReader(network, 256), ground, Ledger(tmp_path / "a.jsonl"))
    check_rows("applications", found.rows)
    assert found.missing == []
    assert {(row["group"], row["length"], row["n"]) for row in found.rows} == {("en-de", 24, 3), ("de-en", 96, 2)}
    assert all(("held_out" in row) == (row["group"] == "de-en") for row in found.rows)
    assert [record["index"] for record in found.records] == [0, 1, 2, 3, 4]
    assert [record["targets"] for record in found.records] == [["yes"]] * 3 + [["no", "nay"]] * 2
    for record in found.records:
        assert record.keys() == {
            *("subject", "application", "length", "group", "index", "source", "targets", "prediction", "scores"),
            "weight",
        }
    for row in found.rows:
        alone = [
            (r["scores"][row["metric"]], r["weight"])
            for r in found.records
            if row["metric"] in r["scores"] and r["group"] == row["group"]
        ]
        total = sum(weight for _, weight in alone)
        assert not alone or row["value"] == pytest.approx(sum(score * weight for score, weight in alone) / total)
    shown = [row["samples"] for row in found.rows if "samples" in row]
    assert len(shown) == len({(row["length"], row["group"]) for row in found.rows})
    predictions = [record["prediction"] for record in found.records]
    for samples in shown:
        assert 1 <= len(samples) <= 3
        assert all(sample["prediction"] in predictions for sample in samples)


def test_texts_go_on_from_plain_text_at_every_length(
    make_settings: Callable[..., Any],
    make_ground: Callable[..., Ground],
    corpus: Corpus,
    tokenizer: Tokenizer,
    network: nn.Module,
    tmp_path: Path,
) -> None:
    ground = make_ground(make_settings(lengths=[16, 48]), 32, corpus, tokenizer)
    ground = replace(ground, source=Sotu(application="generation"))
    found = applied("base", WholeReader(network, 256), ground, Ledger(tmp_path / "a.jsonl"))
    check_rows("applications", found.rows)
    assert found.missing == []
    bits = {row["length"]: row for row in found.rows if row["metric"] == "bits per byte"}
    windows = ground.windows
    for length in (16, 48):
        nll, _ = WholeReader(network, 256).score(windows.last(length), 10)
        expected = float(nll.double().sum()) / math.log(2) / float(windows.sizes[:, -10:].sum())
        assert bits[length]["value"] == pytest.approx(expected, rel=1e-5)
        assert bits[length]["n"] == len(windows.names)


def test_what_is_known_is_not_asked_again(
    paired: Callable[..., Any], network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = ground_for(paired, "question_answering")
    first = applied("base", WholeReader(network, 256), ground, Ledger(tmp_path / "a.jsonl"))
    monkeypatch.setattr(network, "hidden", None)
    again = applied("base", WholeReader(network, 256), ground, Ledger(tmp_path / "a.jsonl"))
    assert (again.rows, again.records) == (first.rows, first.records)


def test_pairs_longer_than_all_lengths_are_counted(
    paired: Callable[..., Any], network: nn.Module, tmp_path: Path
) -> None:
    ground = ground_for(paired, "question_answering", lengths=[12, 24])
    found = applied("base", WholeReader(network, 256), ground, Ledger(tmp_path / "a.jsonl"))
    check_rows("missing", found.missing)
    reason = "2 of 5 pairs: longer than 24, the longest of evaluation.lengths"
    assert found.missing == [{"subject": "base", "what": "question_answering", "reason": reason}]
    assert {row["group"] for row in found.rows} == {"en-de"}


def test_a_pair_that_just_fits_counts_at_that_length(item: Callable[..., Item], ending: Ending) -> None:
    items = [item("word", "yes")._replace(prompt=[1] * size) for size in (12, 11, 20, 21)]
    found = {
        length: [len(one.prompt) for one in mine]
        for length, mine in by_length(items, QuestionAnswering(ending, 4), (15, 24))
    }
    assert found == {15: [11], 24: [12, 20], 0: [21]}


class Hindered(WholeReader):
    def obstacle(self, length: int) -> str:
        return "it ends there" if length > 24 else ""


def test_what_can_t_be_read_is_missing_with_its_length(
    paired: Callable[..., Any], network: nn.Module, tmp_path: Path
) -> None:
    ground = ground_for(paired, "question_answering")
    found = applied("base", Hindered(network, 256), ground, Ledger(tmp_path / "a.jsonl"))
    (missing,) = found.missing
    assert (missing["length"], missing["reason"]) == (96, "2 of 5 pairs: it ends there")
    assert {row["length"] for row in found.rows} == {24}


def test_memory_that_is_short_leaves_out_a_length_and_all_beyond(
    paired: Callable[..., Any], network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any, **named: Any) -> None:
        raise MemoryError

    ground = ground_for(paired, "question_answering")
    monkeypatch.setattr(network, "hidden", fail)
    found = applied("base", WholeReader(network, 256), ground, Ledger(tmp_path / "a.jsonl"))
    assert found.rows == []
    assert [(row["length"], row["reason"][:28]) for row in found.missing] == [
        (24, "3 of 5 pairs: out of memory "),
        (96, "2 of 5 pairs: out of memory "),
    ]


def test_prompts_are_encoded_as_the_corpus_has_them(paired: Callable[..., Any]) -> None:
    ground = ground_for(paired, "question_answering")
    for item in items_of(ground):
        whole = ground.corpus.document(item.number).tolist()
        assert item.prompt + item.target == whole[:-1]
        assert ground.corpus.targets[ground.corpus.starts[item.number] :][: len(item.prompt)].sum() == 0


def test_the_same_pairs_are_drawn_whatever_runs(paired: Callable[..., Any]) -> None:
    ground = ground_for(paired, "question_answering", documents=3)
    chosen = [item.number for item in items_of(ground)]
    assert chosen == sorted(chosen)
    assert (len(chosen), chosen) == (3, [item.number for item in items_of(ground)])


def test_no_application_is_nothing_and_no_pairs_are_missing(
    paired: Callable[..., Any], network: nn.Module, tmp_path: Path
) -> None:
    ledger, reader = Ledger(tmp_path / "a.jsonl"), WholeReader(network, 256)
    assert applied("base", reader, ground_for(paired, ""), ledger) == ([], [], ())
    ground = paired([Document("a", "plain text")], application="translation")
    (missing,) = applied("base", reader, ground, ledger).missing
    assert missing["reason"] == "the documents held out have no pair of input and target"


def test_a_scorer_that_is_not_installed_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for application in ("", *APPLICATIONS):
        check_scorer(application)
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "sacrebleu" else util.find_spec(name))
    check_scorer("summarisation")
    with pytest.raises(Refusal, match=r"needs the package sacrebleu: pip install ctxext\[metrics\]$"):
        check_scorer("translation")
