"""Pairs shorter than every evaluated length are evaluable: text by length is missing for a reason, and not refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from torch import nn

from ctxext.data.corpus import Corpus
from ctxext.data.sources import Sotu
from ctxext.evaluation.assembly import Sections, assemble
from ctxext.evaluation.ground import Ground, common_ground
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.measure import Measurement, measure
from ctxext.evaluation.reader import WholeReader
from ctxext.evaluation.settings import Evaluation
from ctxext.evaluation.text.language import drawn_end, longest
from ctxext.refusal import Refusal

LONG = 2000


@pytest.fixture
def ground(make_settings: Callable[..., Evaluation], pairs: Corpus, tokenizer: Tokenizer) -> Ground:
    settings = make_settings(lengths=[64, LONG], tasks=["passkey"], samples=2)
    return common_ground(settings, 64, pairs, tokenizer, Sotu(application="question_answering"), drawn_end)


def found(ground: Ground, network: nn.Module, folder: Path) -> tuple[Measurement, Sections]:
    """Return what is measured on `ground`, and what is written of it."""

    measurement = measure("base", WholeReader(network, 8192), ground, Ledger(folder / "known.jsonl"))
    return measurement, assemble([measurement], ground, {})


def test_tasks_are_measured_and_text_is_missing_with_the_longest_document(
    ground: Ground, network: nn.Module, tmp_path: Path
) -> None:
    measurement, sections = found(ground, network, tmp_path)
    reasons = {row["what"]: row["reason"] for row in sections.missing if row["what"].startswith("by_")}
    assert sections.by_length == sections.by_position == list(measurement.documents(ground.windows.names)) == []
    assert {row["length"] for row in sections.tasks} == {0, 64, LONG}
    assert f"no document held out has the {LONG} tokens" in reasons["by_length"]
    assert f"the longest has {longest(ground.corpus)};" in reasons["by_length"]
    assert reasons["by_position"] == "no text is scored by length"


def test_longer_lengths_than_plain_text_has_are_still_refused(
    make_settings: Callable[..., Evaluation], pairs: Corpus, tokenizer: Tokenizer
) -> None:
    with pytest.raises(Refusal, match=rf"evaluation.lengths needs documents held out of {LONG} tokens"):
        common_ground(make_settings(lengths=[64, LONG]), 64, pairs, tokenizer, Sotu(), drawn_end)


def test_pairs_that_are_long_enough_are_scored_by_length(
    make_settings: Callable[..., Evaluation], pairs: Corpus, tokenizer: Tokenizer
) -> None:
    source = Sotu(application="question_answering")
    for length in (longest(pairs) - 1, longest(pairs)):
        scored = common_ground(make_settings(lengths=[16, length]), 64, pairs, tokenizer, source, drawn_end)
        assert (len(scored.windows.names), scored.unscored) == (1, "")
    long = make_settings(lengths=[16, longest(pairs) + 1])
    assert common_ground(long, 64, pairs, tokenizer, source, drawn_end).unscored


def test_the_longest_document_is_counted_without_its_end(pairs: Corpus) -> None:
    assert longest(pairs) == max(len(pairs.document(index)) for index in range(len(pairs))) - 1
    assert longest(Corpus(pairs.tokens[:0], pairs.starts[:1], [], None)) == 0
