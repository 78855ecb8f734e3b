"""Packed rows: every answer is learnt once a time round, and never without the whole input that it answers."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE

from ctxext.data.corpus import Corpus
from ctxext.data.packing import OPEN_ROWS, first_fit, pack, windows
from ctxext.data.pairs import Pair
from ctxext.data.rows import Rows
from ctxext.refusal import Refusal

END = 0
TOKENIZER = Tokenizer(BPE())
SHAPES = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), min_size=1, max_size=40)
"""Documents: the tokens of the input, none of a plain text, and those of the target before its end token."""


def corpus_of(shapes: list[tuple[int, int]]) -> Corpus:
    """Return a corpus of documents of `shapes`, all of whose tokens but the end tokens are different."""
    tokens: list[int] = []
    targets: list[bool] = []
    starts = [0]
    for inputs, answers in shapes:
        tokens += [*range(len(tokens) + 1, len(tokens) + inputs + answers + 1), END]
        targets += [False] * inputs + [True] * (answers + 1)
        starts.append(len(tokens))
    names = [str(index) for index in range(len(shapes))]
    pairs = [Pair(name, "", ("",), "", "") for name, (inputs, _) in zip(names, shapes, strict=True) if inputs]
    return Corpus(np.array(tokens, np.uint16), np.array(starts), names, np.array(targets), pairs)


def rows_of(corpus: Corpus, length: int, seed: int, **others: Any) -> Rows:
    return Rows(corpus, TOKENIZER, length, 0.0, seed, **others)


def learnt(rows: Rows, first: int, count: int) -> list[tuple[list[int], int]]:
    """Return for each learnt target of these rows what of its own document stands before it, and the target."""
    found = []
    for number in range(first, first + count):
        row = rows.row(number)
        for place in np.flatnonzero(row.weights).tolist():
            seen = row.tokens[: place + 1][row.documents[: place + 1] == row.documents[place]]
            found.append((seen.tolist(), int(row.tokens[place + 1])))
    return found


def wanted(corpus: Corpus, length: int) -> list[tuple[list[int], int]]:
    """Return the same of each document by itself, as a row of `length` tokens should teach it."""
    found: list[tuple[list[int], int]] = []
    for start, stop in zip(corpus.starts[:-1].tolist(), corpus.starts[1:].tolist(), strict=True):
        tokens, answer = corpus.tokens[start:stop].tolist(), int(corpus.targets[start:stop].sum())  # type: ignore[index]
        if answer == stop - start:
            for place in range(1, stop - start):
                found.append((tokens[(place - 1) // length * length : place], tokens[place]))
        elif answer <= length:
            kept = tokens[-length - 1 :]
            found += [(kept[:place], kept[place]) for place in range(len(kept) - answer, len(kept))]
    return found


@settings(max_examples=80, deadline=None)
@given(SHAPES, st.integers(4, 60), st.integers(0, 9), st.integers(0, 3))
def test_each_target_is_learnt_once_a_time_round_behind_all_of_its_input(
    shapes: list[tuple[int, int]], length: int, seed: int, time: int
) -> None:
    corpus = corpus_of(shapes)
    right = sorted(wanted(corpus, length))
    if not right:
        with pytest.raises(Refusal, match="of the training split has a target of at most"):
            rows_of(corpus, length, seed)
        return
    rows = rows_of(corpus, length, seed)

    assert sorted(learnt(rows, time * rows.windows, rows.windows)) == right


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(21, 60), st.integers(0, 9))
def test_each_row_has_a_target_and_nothing_behind_its_last_document_is_learnt(
    shapes: list[tuple[int, int]], length: int, seed: int
) -> None:
    corpus = corpus_of(shapes)
    batch = rows_of(corpus, length, seed).batch(0, 50)

    assert bool((batch.weights.sum(dim=1) > 0).all())
    for tokens, weights in zip(batch.targets.tolist(), batch.weights.tolist(), strict=True):
        last = max(place for place, weight in enumerate(weights) if weight)
        assert set(tokens[last + 1 :]) <= {END}


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(21, 60))
def test_documents_are_kept_apart_and_positions_restart(shapes: list[tuple[int, int]], length: int) -> None:
    corpus = corpus_of(shapes)
    rows = rows_of(corpus, length, 0)

    for number in range(rows.windows):
        row = rows.row(number)
        sizes = Counter(row.documents.tolist())
        assert sorted(sizes) == list(range(len(sizes)))
        spans = np.diff(rows.packing.row(int(row.sample.split("/")[1]))).ravel()
        filled = min(int(spans.sum()), length)
        assert row.documents[:filled].tolist() == np.repeat(np.arange(len(spans)), spans)[:filled].tolist()
        assert set(row.documents[filled:].tolist()) <= {len(spans)}
        assert row.positions.tolist() == [place for number in sorted(sizes) for place in range(sizes[number])]
    joined = rows_of(corpus, length, 0, keeps_documents_apart=False).row(0)
    assert (joined.positions.tolist(), set(joined.documents.tolist())) == (list(range(length)), {0})


def test_the_order_differs_by_time_round_and_by_seed_and_is_found_by_number_alone() -> None:
    corpus = corpus_of([(5 + index % 7, 2) for index in range(60)])
    rows = rows_of(corpus, 32, 0)
    rounds = [
        [rows.row(time * rows.windows + place).tokens.tolist() for place in range(rows.windows)] for time in (0, 1)
    ]
    backward = [rows_of(corpus, 32, 0).row(number).tokens.tolist() for number in reversed(range(rows.windows))]

    assert rounds[0] != rounds[1]
    assert sorted(rounds[0]) == sorted(rounds[1])
    assert backward[::-1] == rounds[0]
    assert sorted(rounds[0]) != sorted(rows_of(corpus, 32, 1).row(n).tokens.tolist() for n in range(rows.windows))


def test_pairs_that_are_longer_than_a_row_are_counted_in_words() -> None:
    packing = pack(corpus_of([(40, 3), (3, 15), (3, 16), (1, 30), (2, 2), (0, 90)]), 16, 0)

    assert (packing.cut, packing.left_out) == (2, 2)
    assert packing.told == (
        "2 of the pairs lose the front of their input to fit a row, "
        "2 of the pairs are left out, their target alone is longer"
    )
    assert pack(corpus_of([(3, 3)]), 16, 0).told == ""


def test_a_pair_that_lost_the_front_of_its_input_begins_as_any_document() -> None:
    corpus = replace(corpus_of([(40, 3), (9, 14), (9, 15)]), beginning=(7, 8))
    rows = rows_of(corpus, 16, 0)

    assert (rows.packing.cut, rows.packing.left_out) == (1, 2)
    assert rows.row(0).tokens.tolist() == [7, 8, *range(30, 44), END]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 20), max_size=200))
def test_no_row_is_overfull_and_most_are_nearly_full(sizes: list[int]) -> None:
    rows = first_fit(sizes, 20)
    filled = np.bincount(rows, weights=sizes, minlength=1)

    assert filled.max() <= 20
    assert len(filled) <= max(2 * sum(sizes) / 20 + OPEN_ROWS, 1)
    assert set(rows.tolist()) == set(range(len(filled) if sizes else 0))


def test_short_pairs_leave_little_of_their_rows_empty() -> None:
    sizes = np.random.default_rng(0).integers(150, 240, 2000).tolist()

    assert sum(sizes) / (1024 * len(set(first_fit(sizes, 1025).tolist()))) > 0.9


def test_windows_of_a_plain_text_overlap_by_the_token_that_the_next_begins_with() -> None:
    assert list(windows(5, 16, 4)) == [(5, 10), (9, 14), (13, 16)]
    assert list(windows(5, 10, 4)) == [(5, 10)]
    assert list(windows(5, 6, 4)) == []
