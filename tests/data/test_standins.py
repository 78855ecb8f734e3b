"""The stand-ins: pairs that need no file, are the same wherever they are made, and from which a network learns."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ctxext.attention.softmax import Softmax
from ctxext.config.schema import Run
from ctxext.data.documents import Document
from ctxext.data.prepare import prepare
from ctxext.data.rows import Batch, Rows
from ctxext.data.sources import Generated
from ctxext.data.standins import QuestionAnswering, Sentiment, Summarisation, Translation
from ctxext.kernels.loss import fused_loss
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal

DIRECTIONS = ["plain-red", "red-plain", "red-blue"]
SMALL: dict[str, Generated] = {
    "qa": QuestionAnswering(count=120, words=30, people=2),
    "translation": Translation(
        count=120, words=7, directions=DIRECTIONS, held_out=["red-blue"], prompt="{group}: {input}"
    ),
    "summarisation": Summarisation(count=120, words=33, marks=1),
    "sentiment": Sentiment(count=120, words=30, application="classification", labels=["positive", "negative"]),
}
EACH = pytest.mark.parametrize("name", SMALL)


def pairs(source: Generated) -> list[Document]:
    """Return the pairs of `source`."""
    return [item for item in source.documents() if isinstance(item, Document)]


@EACH
def test_a_pair_is_a_function_of_its_number_and_none_comes_twice(name: str) -> None:
    source = SMALL[name]
    found = pairs(source)
    assert found == [source.document(index) for index in reversed(range(120))][::-1]
    assert len({pair.text for pair in found}) == len({pair.name for pair in found}) == 120
    assert all(pair.target and len(pair.text.split()) <= source.words for pair in found)


@EACH
def test_the_words_of_an_input_are_a_setting(name: str, built: Callable[..., Run]) -> None:
    for words in (80, 300):
        found = pairs(built(f"dataset={name}", f"dataset.words={words}", "dataset.count=5").dataset)
        assert all(words - 12 <= len(pair.text.split()) <= words for pair in found)


@EACH
def test_what_an_option_file_makes_can_be_prepared_and_nothing_is_lost(
    name: str, built: Callable[..., Run], tmp_path: Path
) -> None:
    source = built(f"dataset={name}", "dataset.count=120").dataset
    prepared = prepare(source, None, 300, tmp_path)
    parts = [prepared.train.pairs, prepared.validation.pairs, prepared.test.pairs]
    assert sum(map(len, parts)) == 120
    assert len({pair.source for part in parts for pair in part}) == 120
    for held_out in source.held_out:
        assert [sum(pair.group == held_out for pair in part) for part in parts] == [0, 0, 24]


def test_translations_take_their_directions_in_turn_and_sentiment_its_labels(built: Callable[..., Run]) -> None:
    found = pairs(built("dataset=translation", "dataset.count=60").dataset)
    assert set(Counter(pair.group for pair in found).values()) == {12}
    assert len({pair.group for pair in found}) >= 3
    sentiment = built("dataset=sentiment", "dataset.count=60").dataset
    assert Counter(pair.target for pair in pairs(sentiment)) == dict.fromkeys(sentiment.labels, 30)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: QuestionAnswering(people=0), r"people must be from 1 to \d+, got 0"),
        (lambda: QuestionAnswering(people=9, words=100), r"words must be at least 114 here, got 100"),
        (lambda: Translation(), r"directions must name some of plain-red, .*, got \[\]"),
        (lambda: Translation(directions=["plain-green"]), r"directions must be among .*'plain-green'; did you mean"),
        (lambda: Translation(directions=["red-red"]), r"directions must be among .*'red-red'"),
        (lambda: Translation(directions=DIRECTIONS, words=6), r"words must be at least 7 here, got 6"),
        (lambda: Summarisation(marks=0), r"marks must be at least 1, got 0"),
        (lambda: Summarisation(marks=4, words=43), r"words must be at least 44 here, got 43"),
        (lambda: Sentiment(words=10), r"words must be at least 11 here, got 10"),
        (lambda: Sentiment(count=0), r"count must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_made_is_refused(make: Callable[[], Generated], sentence: str) -> None:
    with pytest.raises(Refusal, match=f"^dataset.{sentence}"):
        make()


def losses(batches: list[Batch], vocabulary: int) -> list[float]:
    """Return the loss of a small network at each of `batches`, on which it is trained one after the other."""
    torch.manual_seed(0)
    geometry = DecoderGeometry(vocabulary, 32, 64, 2, 4, 2, 8, True, 1e-5)
    network = geometry.build(Rope(10000.0), IntraDocument(), Softmax())
    optimiser, found = torch.optim.AdamW(network.parameters(), lr=5e-3), []
    for batch in batches:
        states = network.hidden(batch.tokens, batch.positions, batch.documents).flatten(0, 1)
        loss = fused_loss(states, network.unembedding, batch.targets.flatten(), batch.weights.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(float(loss.detach()))
    return found


@EACH
def test_a_network_learns_from_targets_that_it_has_not_seen_before(name: str, tmp_path: Path) -> None:
    prepared = prepare(SMALL[name], None, 300, tmp_path)
    rows = Rows(prepared.train, prepared.tokenizer, 64, recall_share=0.0, seed=0)
    found = losses([rows.batch(first, 4) for first in range(0, min(rows.windows, 100), 4)], 300)
    assert sum(found[-5:]) < 0.9 * sum(found[:5])


@EACH
def test_inputs_and_borders_have_no_weight_and_targets_have_all(name: str, tmp_path: Path) -> None:
    prepared = prepare(SMALL[name], None, 300, tmp_path)
    corpus, tokenizer = prepared.train, prepared.tokenizer
    rows = Rows(corpus, tokenizer, 512, recall_share=0.0, seed=0)
    batch = rows.batch(0, rows.windows)
    learnt = []
    for row, documents in enumerate(torch.zeros_like(batch.tokens) if batch.documents is None else batch.documents):
        for number in documents.unique():
            here = documents == number
            tokens = [int(batch.tokens[row, here][0]), *batch.targets[row, here].tolist()]
            weights = [0.0, *batch.weights[row, here].tolist()]
            if any(weights):  # what fills the row has none; behind a document stands the next one's first token
                length = len(weights) - (weights[-1] == 0)
                learnt.append((tokens[:length], weights[:length]))
    wanted = []
    for index, pair in enumerate(corpus.pairs):
        start, stop = int(corpus.starts[index]), int(corpus.starts[index + 1])
        question = len(tokenizer.encode(f"{pair.source}\n").ids)
        wanted.append((corpus.tokens[start:stop].tolist(), [0.0] * question + [1.0] * (stop - start - question)))
    assert sorted(learnt) == sorted(wanted)
