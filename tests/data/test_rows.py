"""Rows to train on: each found by its number, none across a document's border, every window once a time round."""

import re
from collections import Counter
from hashlib import blake2b
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from ctxext.data.corpus import Corpus, write_corpus
from ctxext.data.documents import Document
from ctxext.data.rows import Batch, Rows
from ctxext.data.tokenizer import as_plain_text, train_tokenizer
from ctxext.mask.causal import Causal
from ctxext.mask.document import IntraDocument
from ctxext.position.sampling import Pose, Randomized
from ctxext.refusal import Refusal

TEXTS = [f"Text {i} says: " + " ".join(f"{i}.{j}" for j in range(3 + 7 * i)) for i in range(9)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS, 300)


@pytest.fixture(scope="module")
def corpus(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("text"), [Document(str(i), t) for i, t in enumerate(TEXTS)], tokenizer)


@pytest.fixture(scope="module")
def pairs(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    documents = [Document(str(i), text, target=f"answer {i}") for i, text in enumerate(TEXTS)]
    return write_corpus(tmp_path_factory.mktemp("pairs"), documents, tokenizer)


@pytest.fixture
def rows(corpus: Corpus, tokenizer: Tokenizer) -> Rows:
    return Rows(corpus, tokenizer, length=16, recall_share=0.3, seed=5)


def same(first: Batch, second: Batch) -> bool:
    names = ("tokens", "targets", "weights", "positions")
    return first.samples == second.samples and all(
        torch.equal(getattr(first, name), getattr(second, name)) for name in names
    )


def test_a_row_is_a_function_of_seed_and_number_alone(rows: Rows, corpus: Corpus, tokenizer: Tokenizer) -> None:
    forward = [rows.batch(number, 1) for number in range(200)]
    other = Rows(corpus, tokenizer, 16, 0.3, seed=5)
    backward = [other.batch(number, 1) for number in reversed(range(200))][::-1]

    assert all(same(first, second) for first, second in zip(forward, backward, strict=True))
    assert rows.batch(40, 30).samples == [sample for row in forward[40:70] for sample in row.samples]


def test_another_seed_gives_other_rows(rows: Rows, corpus: Corpus, tokenizer: Tokenizer) -> None:
    other = Rows(corpus, tokenizer, 16, 0.3, seed=6)

    assert not torch.equal(rows.batch(0, 20).tokens, other.batch(0, 20).tokens)
    assert not np.array_equal(rows.lesson(0).tokens, other.lesson(0).tokens)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.29, 0.3, 0.57, 0.9, 1.0])
def test_the_share_of_lessons_is_exact(share: float, corpus: Corpus, tokenizer: Tokenizer) -> None:
    rows = Rows(corpus, tokenizer, 16, share, seed=0)

    counted = [rows.lessons(number) for number in range(1001)]
    samples = rows.batch(0, 100).samples

    assert [sum(sample.startswith("recall") for sample in samples)] == [round(100 * share)]
    assert counted[1000] == round(1000 * share)
    assert all(abs(lessons - number * share) <= 1 for number, lessons in enumerate(counted))


def test_no_lesson_and_no_place_among_the_windows_is_left_out_or_met_twice(rows: Rows) -> None:
    samples = Counter(rows.batch(0, 200).samples)

    lessons = sorted(int(name.split("/")[1]) for name in samples if name.startswith("recall"))
    assert lessons == list(range(60))
    assert {samples[f"recall/{number}"] for number in lessons} == {1}


def test_every_window_is_seen_once_each_time_round_and_in_another_order(corpus: Corpus, tokenizer: Tokenizer) -> None:
    rows = Rows(corpus, tokenizer, 16, 0.0, seed=0)
    rounds = [rows.batch(time * rows.windows, rows.windows).samples for time in range(3)]

    everything = {f"text/{window}" for window in range(rows.windows)}
    assert all(len(names) == rows.windows and set(names) == everything for names in rounds)
    assert len({tuple(names) for names in rounds}) == 3


def test_the_windows_are_the_corpus(corpus: Corpus, tokenizer: Tokenizer) -> None:
    rows = Rows(corpus, tokenizer, 16, 0.0, seed=0)
    batch = rows.batch(0, rows.windows)

    for index, sample in enumerate(batch.samples):
        start = int(sample.split("/")[1]) * 16
        assert batch.tokens[index].tolist() == corpus.tokens[start : start + 16].tolist()
        assert batch.targets[index].tolist() == corpus.tokens[start + 1 : start + 17].tolist()
    assert len(corpus.tokens) - rows.windows * 16 - 1 in range(16)


def owners(corpus: Corpus) -> list[int]:
    """The document of each token, counted off document by document."""
    return [index for index in range(len(corpus)) for _ in corpus.document(index)]


def test_no_target_lies_across_a_border_and_every_other_one_counts(corpus: Corpus, tokenizer: Tokenizer) -> None:
    rows, owner = Rows(corpus, tokenizer, 16, 0.0, seed=0), owners(corpus)
    batch = rows.batch(0, rows.windows)

    for index, sample in enumerate(batch.samples):
        start = int(sample.split("/")[1]) * 16
        wanted = [float(owner[place] == owner[place + 1]) for place in range(start, start + 16)]
        assert batch.weights[index].tolist() == wanted
    assert (batch.weights == 0).any()


def test_documents_are_told_apart_and_positions_restart_with_each(corpus: Corpus, tokenizer: Tokenizer) -> None:
    rows, owner = Rows(corpus, tokenizer, 16, 0.0, seed=0), owners(corpus)
    batch = rows.batch(0, rows.windows)

    assert batch.documents is not None
    for index, sample in enumerate(batch.samples):
        here = owner[int(sample.split("/")[1]) * 16 :][:16]
        positions = [here[:place].count(here[place]) for place in range(16)]
        assert batch.positions[index].tolist() == positions
        assert batch.documents[index].tolist() == [document - here[0] for document in here]


def test_a_mask_that_reads_packed_documents_as_one_text_gets_rows_whose_positions_run_on(
    corpus: Corpus, tokenizer: Tokenizer, packed: Batch
) -> None:
    apart = Rows(corpus, tokenizer, 16, 0.3, seed=5, keeps_documents_apart=IntraDocument().keeps_documents_apart())
    joined = Rows(corpus, tokenizer, 16, 0.3, seed=5, keeps_documents_apart=Causal().keeps_documents_apart())
    first = next(number for number in range(100) if same(apart.batch(number, 5), packed))
    batch = joined.batch(first, 5)

    assert batch.documents is None
    assert torch.equal(batch.positions, torch.arange(16).expand(5, 16))
    assert torch.equal(batch.tokens, packed.tokens)
    assert torch.equal(batch.weights, packed.weights)
    assert not torch.equal(batch.positions, packed.positions)


def test_documents_are_none_where_no_row_is_packed(corpus: Corpus, tokenizer: Tokenizer) -> None:
    assert Rows(corpus, tokenizer, 16, 1.0, seed=0).batch(0, 4).documents is None


def test_of_pairs_only_the_answers_are_counted(pairs: Corpus, tokenizer: Tokenizer) -> None:
    rows = Rows(pairs, tokenizer, 200, 0.0, seed=0)
    batch = rows.batch(0, rows.windows)

    counted = tokenizer.decode(batch.targets[batch.weights == 1].tolist(), skip_special_tokens=False)
    assert sorted(counted.split("<|endoftext|>")) == ["", *(f"answer {index}" for index in range(len(pairs)))]


@pytest.mark.parametrize("length", [16, 40, 64, 301])
def test_a_lesson_fills_its_row_and_ends_with_an_answer(length: int, corpus: Corpus, tokenizer: Tokenizer) -> None:
    rows = Rows(corpus, tokenizer, length, 1.0, seed=0)
    batch = rows.batch(0, 20)

    assert batch.tokens.shape == batch.weights.shape == (20, length)
    assert torch.equal(batch.tokens[:, 1:], batch.targets[:, :-1])
    assert (batch.weights[:, -1] == 1).all()
    assert torch.equal(batch.positions, torch.arange(length).expand(20, length))
    for index in range(20):
        text = tokenizer.decode([*batch.tokens[index].tolist(), int(batch.targets[index, -1])])
        assert re.search(r"\w+\.$", text)


def test_of_lessons_exactly_the_answers_are_counted(corpus: Corpus, tokenizer: Tokenizer) -> None:
    batch = Rows(corpus, tokenizer, 400, 1.0, seed=0).batch(0, 20)

    for index in range(20):
        targets, weights = batch.targets[index].tolist(), batch.weights[index].tolist()
        runs = groupby(zip(targets, weights, strict=True), key=lambda pair: pair[1])
        counted = [tokenizer.decode([token for token, _ in run]) for weight, run in runs if weight]
        assert set(weights) == {0.0, 1.0}
        assert counted == re.findall(r"Recall: the code of \w+ is( \w+ \w+\.)", tokenizer.decode(targets))


def test_a_lesson_asks_what_it_states(corpus: Corpus, tokenizer: Tokenizer) -> None:
    row = Rows(corpus, tokenizer, 600, 1.0, seed=0).lesson(3)

    text = tokenizer.decode(row.tokens.tolist())
    stated = set(re.findall(r"The code of (\w+ is \w+ \w+)\.", text))
    asked = set(re.findall(r"Recall: the code of (\w+ is \w+ \w+)\.", text))
    assert asked
    assert asked <= stated


@pytest.fixture
def packed(rows: Rows) -> Batch:
    """Five rows of which some hold several documents."""
    return next(batch for batch in map(rows.batch, range(100), [5] * 100) if batch.documents is not None)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
def test_the_parts_are_the_batch(count: int, packed: Batch) -> None:
    batch = packed
    parts = list(batch.parts(count))

    assert len(parts) == min(count, 5)
    assert all(part.samples for part in parts)
    assert [sample for part in parts for sample in part.samples] == batch.samples
    for name in ("tokens", "targets", "weights", "positions", "documents"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(batch, name))


def test_a_batch_goes_to_a_device_whole(packed: Batch) -> None:
    batch = packed.to(torch.device("meta"))

    assert batch.documents is not None
    for array in (batch.tokens, batch.targets, batch.weights, batch.positions, batch.documents):
        assert array.device.type == "meta"


def test_a_text_shorter_than_a_row_is_refused_unless_lessons_stand_in(
    corpus: Corpus, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    with pytest.raises(Refusal, match=r"the training split holds \d+ tokens, fewer than one row of 9000"):
        Rows(corpus, tokenizer, 9000, 0.5, seed=0)
    empty = write_corpus(tmp_path, [], tokenizer)

    assert len(Rows(empty, tokenizer, 64, 1.0, seed=0).batch(0, 2).samples) == 2
    with pytest.raises(Refusal, match="2 tokens or more"):
        Rows(corpus, tokenizer, 1, 0.5, seed=0)


@pytest.mark.parametrize("sampler", [Pose(40), Randomized(40)])
def test_drawn_positions_are_the_row_s_own_and_change_nothing_else(
    sampler: Pose | Randomized, corpus: Corpus, tokenizer: Tokenizer
) -> None:
    laid, drawing = Rows(corpus, tokenizer, 16, 0.0, seed=5), Rows(corpus, tokenizer, 16, 0.0, seed=5, sampler=sampler)
    rounds = [drawing.batch(time * laid.windows, laid.windows) for time in range(2)]
    again = drawing.batch(27, 6)

    assert torch.equal(again.positions, rounds[0].positions[27:33])
    assert torch.equal(rounds[0].tokens, laid.batch(0, laid.windows).tokens)
    assert not torch.equal(rounds[0].positions, laid.batch(0, laid.windows).positions)
    first, second = (dict(zip(batch.samples, batch.positions.tolist(), strict=True)) for batch in rounds)
    assert sum(first[name] != second[name] for name in first) > laid.windows / 2


def test_another_seed_draws_other_positions(corpus: Corpus, tokenizer: Tokenizer) -> None:
    lessons = [Rows(corpus, tokenizer, 16, 1.0, seed=seed, sampler=Randomized(40)).batch(0, 9) for seed in (1, 2)]

    assert not torch.equal(lessons[0].positions, lessons[1].positions)


def test_positions_are_drawn_for_each_document_of_a_packed_row(corpus: Corpus, tokenizer: Tokenizer) -> None:
    batch = Rows(corpus, tokenizer, 16, 0.0, seed=0, sampler=Randomized(40)).batch(0, 20)

    assert batch.documents is not None
    rising = batch.positions.diff(dim=1) > 0
    borders = batch.documents.diff(dim=1) > 0
    assert bool((rising | borders).all())
    assert not bool(rising[borders].all())


def test_lessons_in_recall_are_bit_for_bit_those_that_the_shipped_base_was_trained_on(
    corpus: Corpus, tokenizer: Tokenizer
) -> None:
    rows, digest = Rows(corpus, tokenizer, 40, 0.5, seed=5), blake2b(digest_size=8)
    for number in range(60):
        row = rows.row(number)
        if row.sample.startswith("recall"):
            for array in (row.tokens, row.weights, row.documents, row.positions):
                digest.update(array.tobytes())
    assert digest.hexdigest() == "2f98015e88d12f6d"


@pytest.mark.parametrize("words", [("<s>",), ("<g>", "<s>")])
@pytest.mark.parametrize("recall_share", [0.0, 1.0])
def test_what_begins_texts_is_read_and_never_predicted(
    words: tuple[str, ...], recall_share: float, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    begun = Tokenizer.from_str(tokenizer.to_str())
    begun.add_special_tokens(list(words))
    ids = [(word, begun.token_to_id(word)) for word in words]
    begun.post_processor = TemplateProcessing(single=f"{' '.join(words)} $A", special_tokens=ids)
    corpus = write_corpus(tmp_path, [Document(str(i), t) for i, t in enumerate(TEXTS)], as_plain_text(begun))
    rows = Rows(corpus, begun, length=24, recall_share=recall_share, seed=5)
    batch, marks = rows.batch(0, 60), torch.tensor([token for _, token in ids])

    assert batch.tokens.shape == batch.targets.shape == (60, 24)
    is_mark = torch.isin(batch.targets, marks)
    assert not batch.weights[is_mark].any()
    if recall_share:
        assert (batch.tokens[:, : len(words)] == marks).all()
        assert not torch.isin(batch.tokens[:, len(words) :], marks).any()
    else:
        # What stands behind a document's end is not predicted either, and here that is a mark.
        assert is_mark.sum() > 3
        assert batch.weights[~is_mark].all()
