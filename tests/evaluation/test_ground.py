"""What every subject is measured on: the same for every run."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from torch import nn

from ctxext.data.corpus import Corpus
from ctxext.data.material import CorpusMaterial
from ctxext.evaluation.assembly import assemble
from ctxext.evaluation.ground import Ground, Samples, digest_of
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.measure import measure
from ctxext.evaluation.reader import WholeReader
from ctxext.evaluation.settings import Evaluation
from ctxext.refusal import Refusal
from ctxext.tasks.samples import Asked


def test_the_ground_is_the_same_for_every_run_and_has_no_samples_without_the_task(
    settings: Evaluation, corpus: Corpus, tokenizer: Tokenizer, make_ground: Callable[..., Ground]
) -> None:
    bare = make_ground(settings, 64, corpus, tokenizer)
    settings.tasks, settings.lengths = ["passkey"], [48, 96]
    ground, again = (make_ground(settings, 64, corpus, tokenizer) for _ in range(2))

    assert again.windows.tokens.tolist() == ground.windows.tokens.tolist() == bare.windows.tokens.tolist()
    assert again.text_digest == ground.text_digest
    assert again.samples == ground.samples
    assert list(ground.samples["passkey"]) == [0, 48, 96]
    assert bare.samples == {}


def test_samples_are_spread_over_the_depths_and_fill_their_length(
    make_settings: Callable[..., Evaluation], corpus: Corpus, tokenizer: Tokenizer
) -> None:
    settings = make_settings(samples=7, depths=[0.0, 0.5, 1.0], lengths=[96])
    bare, samples = Samples("passkey", settings, CorpusMaterial(corpus, tokenizer)).values()

    assert [(sample.place.depth, sample.place.index) for sample in samples] == [
        *((0.0, 0), (0.5, 0), (1.0, 0), (0.0, 1), (0.5, 1), (1.0, 1)),
        (0.0, 2),
    ]
    assert [(sample.place.depth, sample.place.index) for sample in bare] == [(0.0, index) for index in range(7)]
    assert len({tuple(sample.tokens) for sample in samples}) == 7
    for sample in samples:
        assert isinstance(sample, Asked)
        (question,) = sample.questions
        assert len(sample.tokens) + len(question.tokens) + max(map(len, question.answers)) == 96


def test_every_sample_has_a_digest_of_its_own(
    make_settings: Callable[..., Evaluation], corpus: Corpus, tokenizer: Tokenizer
) -> None:
    settings = make_settings(samples=5, lengths=[48, 96])
    samples = [one for some in Samples("passkey", settings, CorpusMaterial(corpus, tokenizer)).values() for one in some]

    assert len({digest_of(sample) for sample in samples}) == 15
    before = digest_of(samples[7])
    samples[7].tokens[3] += 1
    assert digest_of(samples[7]) != before


def test_a_stride_beyond_what_a_pass_reads_is_refused(
    settings: Evaluation, corpus: Corpus, tokenizer: Tokenizer, make_ground: Callable[..., Ground]
) -> None:
    settings.truncated_stride = 9

    with pytest.raises(Refusal, match=r"evaluation\.truncated_stride must be at most base\.trained_length=8,"):
        make_ground(settings, 8, corpus, tokenizer)
    assert make_ground(settings, 9, corpus, tokenizer).trained_length == 9


def test_a_length_that_a_task_does_not_fit_is_left_out_with_its_sentence_and_none_that_fits_is_refused(
    settings: Evaluation, corpus: Corpus, tokenizer: Tokenizer, make_ground: Callable[..., Ground]
) -> None:
    settings.tasks, settings.lengths = ["passkey", "copy"], [12, 96]
    ground = make_ground(settings, 64, corpus, tokenizer)

    assert {length: len(some) for length, some in ground.samples["passkey"].items()} == {0: 4, 12: 0, 96: 4}
    assert all(ground.samples["copy"].values())
    (said,) = ground.samples["passkey"].unfit.values()
    assert re.match(r"evaluation\.lengths: the task passkey needs \d+ tokens or more, got 12;", said)
    assert ground.samples["copy"].unfit == {}
    settings.lengths = [11, 12]
    with pytest.raises(Refusal, match=r"the task passkey needs \d+ tokens or more, got 12;"):
        make_ground(settings, 64, corpus, tokenizer)


def test_the_cells_of_a_task_that_does_not_fit_are_missing_and_the_rest_is_measured(
    settings: Evaluation, corpus: Corpus, tokenizer: Tokenizer, network: nn.Module, make_ground: Any, tmp_path: Path
) -> None:
    settings.tasks, settings.lengths = ["passkey"], [12, 96]
    ground = make_ground(settings, 64, corpus, tokenizer)
    found = measure("base", WholeReader(network, 300), ground, Ledger(tmp_path / "a.jsonl"))
    sections = assemble([found], ground, {})

    assert {row["length"] for row in sections.tasks} == {0, 96}
    assert [row["length"] for row in sections.by_length] == [12, 96]
    cells = [(row["length"], row["reason"]) for row in sections.missing if row["what"] == "passkey"]
    assert cells == [(12, ground.samples["passkey"].unfit[12])]


def test_samples_are_drawn_when_they_are_asked_for_and_once(
    make_settings: Callable[..., Evaluation], corpus: Corpus, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    settings = make_settings(samples=3, lengths=[12, 48, 96])
    task = settings.parameters.passkey
    sample = task.sample
    monkeypatch.setattr(
        task, "sample", lambda place, material: (drawn.append(place.length), sample(place, material))[1]
    )

    samples = Samples("passkey", settings, CorpusMaterial(corpus, tokenizer))
    assert drawn == [96], "one shows that the task fits a length"
    asked = samples[48]
    assert samples[48] is asked
    assert drawn == [96, 48, 48, 48]
    assert samples[12] == []
    assert list(samples.unfit) == [12]
    with pytest.raises(KeyError):
        samples[64]
