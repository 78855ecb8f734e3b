"""Translations score as sacrebleu's own corpus functions say, and as small cases do by hand."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import sacrebleu

from ctxext.evaluation.answers.continuation import Ending
from ctxext.evaluation.applications.application import Item
from ctxext.evaluation.applications.translation import Translation, corpus_row, metrics

ANSWERS = ["the cat sat on the mat", "", "he reads a book now", "completely other words here", "one two three four"]
REFERENCES = [
    ("the cat sat on a mat", "a cat was sitting on the mat"),
    ("there is nothing",),
    ("he is reading a book now",),
    ("they say nothing of it",),
    ("one two three four",),
]
STREAMS: list[Any] = [[first for first, *_ in REFERENCES], [REFERENCES[0][1], *[None] * 4]]


@pytest.fixture
def items(item: Callable[..., Item]) -> list[Item]:
    return [item("source", *targets, group="de-en") for targets in REFERENCES]


def test_values_are_those_of_sacrebleu_s_corpus_functions(ending: Ending, items: list[Item]) -> None:
    found = {row["metric"]: row for row in Translation(ending, 8).rows(items, ANSWERS)}
    bleu = sacrebleu.corpus_bleu(ANSWERS, STREAMS, force=True)
    assert found["bleu"]["value"] == pytest.approx(bleu.score, abs=1e-12)
    assert found["chrf"]["value"] == pytest.approx(sacrebleu.corpus_chrf(ANSWERS, STREAMS).score, abs=1e-12)
    assert found["ter"]["value"] == pytest.approx(sacrebleu.corpus_ter(ANSWERS, STREAMS).score, abs=1e-12)
    alone = [sacrebleu.sentence_chrf(*pair).score for pair in zip(ANSWERS, REFERENCES, strict=True)]
    assert found["chrf of a text"]["value"] == pytest.approx(sum(alone) / 5)
    for row in found.values():
        assert row["low"] <= row["value"] <= row["high"]


def test_signatures_say_how_it_was_scored(ending: Ending, items: list[Item]) -> None:
    said = {row["metric"]: row["signature"] for row in Translation(ending, 8).rows(items[1:], ANSWERS[1:])}
    version = sacrebleu.__version__
    assert said["bleu"] == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"
    assert said["chrf"] == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{version}"
    assert said["ter"] == f"nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:{version}"
    whole = {row["metric"]: row["signature"] for row in Translation(ending, 8).rows(items, ANSWERS)}
    assert whole["bleu"].startswith("nrefs:var|")


def test_small_cases_by_hand() -> None:
    known, answer, reference = metrics(""), ["the cat sat on the mat"], [("the cat sat on a mat",)]
    # Runs of 1 to 4 words that match: 5 of 6 ("the" once), 3 of 5, 2 of 4, 1 of 3; equally long, so no penalty.
    expected = 100 * math.exp(sum(map(math.log, (5 / 6, 3 / 5, 2 / 4, 1 / 3))) / 4)
    assert corpus_row("bleu", known["bleu"], answer, reference)["value"] == pytest.approx(expected)
    # One word is to be changed, of six.
    assert corpus_row("ter", known["ter"], answer, reference)["value"] == pytest.approx(100 / 6)
    # "ab" of "abc": letters 2 of 2 and 2 of 3, pairs 1 of 1 and 1 of 2, no longer runs; recall counts twice.
    precision, recall = (2 / 2 + 1 / 1) / 2, (2 / 3 + 1 / 2) / 2
    chrf = 100 * 5 * precision * recall / (4 * precision + recall)
    assert corpus_row("chrf", known["chrf"], ["ab"], [("abc",)])["value"] == pytest.approx(chrf)


def test_languages_without_spaces_are_split_otherwise() -> None:
    for direction, expected in (
        ("en-zh", "zh"),
        ("en>ja", "char"),
        ("zh-en", "13a"),
        ("", "13a"),
        ("plain-red", "13a"),
    ):
        row = corpus_row("bleu", metrics(direction)["bleu"], ["一 二 三 四"], [("一 二 三 四",)])
        assert f"|tok:{expected}|" in row["signature"]


def test_equal_texts_score_best_whatever_is_resampled() -> None:
    for name, metric in metrics("").items():
        row = corpus_row(name, metric, ["one two three four"] * 3, [("one two three four",)] * 3)
        assert row["value"] == pytest.approx(row["low"]) == pytest.approx(row["high"])
        assert row["value"] == pytest.approx(0 if name == "ter" else 100)
