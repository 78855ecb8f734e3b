"""Text scored by length and by position: the same tokens at every length, and sums that can be counted by hand."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from ctxext.data.corpus import Corpus
from ctxext.data.tokenizer import byte_lengths
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.evaluation.text.language import (
    Line,
    Scored,
    Windows,
    by_position,
    choose_windows,
    drawn_end,
    last_end,
    position_edges,
    score_length,
    score_windows,
    stacked,
)
from ctxext.refusal import Refusal

KEY = "evaluation.lengths"
Oracle = Callable[[nn.Module, Tensor, int, int], tuple[Tensor, Tensor]]


@pytest.fixture(scope="module")
def windows(corpus: Corpus, tokenizer: Tokenizer) -> Windows:
    return choose_windows(corpus, 96, 4, byte_lengths(tokenizer), drawn_end, KEY)


def test_a_window_is_a_piece_of_its_own_document(corpus: Corpus, windows: Windows) -> None:
    assert windows.tokens.shape == windows.sizes.shape == windows.targets.shape == (4, 96)
    assert windows.targets.all()
    for name, window in zip(windows.names, windows.tokens.tolist(), strict=True):
        document = corpus.document(int(name))[:-1].tolist()
        assert any(document[start : start + 96] == window for start in range(len(document) - 95))


def test_only_documents_that_are_long_enough_are_chosen(corpus: Corpus, tokenizer: Tokenizer) -> None:
    spans = {corpus.names[index]: len(corpus.document(index)) - 1 for index in range(len(corpus))}
    for length in (20, 96, sorted(spans.values())[3], sorted(spans.values())[3] + 1, max(spans.values())):
        chosen = choose_windows(corpus, length, 100, byte_lengths(tokenizer), drawn_end, KEY)
        assert chosen.names == [name for name, span in spans.items() if span >= length]


def test_the_choice_is_a_sample_that_does_not_depend_on_the_run(corpus: Corpus, tokenizer: Tokenizer) -> None:
    first, again = (choose_windows(corpus, 60, 3, byte_lengths(tokenizer), drawn_end, KEY) for _ in range(2))

    assert first.names == again.names == sorted(first.names, key=int)
    assert torch.equal(first.tokens, again.tokens)
    assert len(first.names) == 3


def test_the_scored_tokens_are_the_same_at_every_length(
    corpus: Corpus, tokenizer: Tokenizer, windows: Windows, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, list[str]] = {}

    class Spy:
        def score(self, rows: Tensor, scored: int) -> tuple[Tensor, Tensor]:
            seen[rows.shape[1]] = [tokenizer.decode(row) for row in rows[:, -scored:].tolist()]
            return torch.ones(4, scored), torch.ones(4, scored)

    for length in (16, 32, 64, 96):
        score_length(Spy(), windows, length, 10)  # type: ignore[arg-type]

    assert list(seen) == [16, 32, 64, 96]
    assert all(texts == seen[96] for texts in seen.values())
    assert all(text in tokenizer.decode(corpus.tokens.tolist()) for text in seen[16])


def test_ends_are_drawn_over_the_whole_document_or_are_its_last_token() -> None:
    ends = [drawn_end(index, 40, 10) for index in range(2000)]

    assert (min(ends), max(ends)) == (10, 40)
    assert abs(np.mean(ends) - 25) < 1
    assert [drawn_end(3, 40, 10), drawn_end(3, 40, 10)] == [ends[3]] * 2
    assert drawn_end(0, 10, 10) == 10
    assert last_end(0, 40, 10) == 40


def test_the_last_end_is_before_the_end_token(corpus: Corpus, tokenizer: Tokenizer) -> None:
    windows = choose_windows(corpus, 30, 100, byte_lengths(tokenizer), last_end, KEY)

    for name, window in zip(windows.names, windows.tokens.tolist(), strict=True):
        assert window == corpus.document(int(name))[-31:-1].tolist()


def test_of_pairs_the_answer_is_scored_wherever_ends_are_drawn(pairs: Corpus, tokenizer: Tokenizer) -> None:
    windows = choose_windows(pairs, 40, 100, byte_lengths(tokenizer), drawn_end, KEY)

    for name, window, target in zip(windows.names, windows.tokens.tolist(), windows.targets.tolist(), strict=True):
        answer = [token for token, is_target in zip(window, target, strict=True) if is_target]
        assert tokenizer.decode(answer) == f"{name} is it."


def test_lengths_that_no_document_has_are_refused(corpus: Corpus, pairs: Corpus, tokenizer: Tokenizer) -> None:
    longest = int(np.diff(corpus.starts).max()) - 1
    with pytest.raises(
        Refusal,
        match=f"^evaluation.lengths needs documents held out of 9999 tokens or more, and the longest has {longest}; "
        "change evaluation.lengths, or take longer documents, or more of them into the split",
    ):
        choose_windows(corpus, 9999, 4, byte_lengths(tokenizer), drawn_end, KEY)
    empty = Corpus(corpus.tokens[:0], np.zeros(1, dtype=np.int64), [], None)
    with pytest.raises(Refusal, match="the longest has 0"):
        choose_windows(empty, 5, 4, byte_lengths(tokenizer), drawn_end, KEY)


@pytest.mark.parametrize("length", [16, 33, 96])
def test_a_length_scored_equals_brute_force(
    length: int, network: nn.Module, windows: Windows, oracle: Oracle, tokenizer: Tokenizer
) -> None:
    for reader, reach in ((WholeReader(network, 200), length), (TruncatedReader(network, 200, 32, 1), 32)):
        row = score_length(reader, windows, length, 10).row("base", length)
        nll, hit = oracle(network, windows.tokens[:, -length:], 10, reach)
        size = sum(len(text.encode()) for text in tokenizer.decode_batch(windows.tokens[:, -10:].tolist()))
        assert row["nll"] == pytest.approx(float(nll.mean()), abs=1e-6)
        assert row["perplexity"] == pytest.approx(math.exp(float(nll.mean())), rel=1e-6)
        assert row["accuracy"] == float(hit.double().mean())
        assert row["tokens"] == 40
        assert row["bits_per_byte"] == pytest.approx(float(nll.sum()) / math.log(2) / size, rel=1e-6)
        assert row["low"] <= row["nll"] <= row["high"]


def test_bits_per_byte_by_hand() -> None:
    ln2 = math.log(2)
    scored = Scored(np.array([6 * ln2, 2 * ln2]), np.array([1.0, 2.0]), np.array([3.0, 1.0]), np.array([10.0, 6.0]))
    row = scored.row("base", 16)

    assert row["bits_per_byte"] == pytest.approx(8 / 16)
    assert row["nll"] == pytest.approx(2 * ln2)
    assert row["perplexity"] == pytest.approx(4.0)
    assert row["accuracy"] == 3 / 4
    assert row["tokens"] == 4


class Given:
    """Scores every window as it is told."""

    def __init__(self, nll: Tensor, hits: Tensor) -> None:
        self.nll, self.hits = nll, hits

    def score(self, windows: Tensor, scored: int) -> tuple[Tensor, Tensor]:
        return self.nll[:, -scored:], self.hits[:, -scored:]


def test_only_targets_are_summed() -> None:
    targets = torch.tensor([[True, False, True], [False, False, True]])
    windows = Windows(torch.zeros(2, 3, dtype=torch.long), targets, torch.tensor([[5, 6, 7], [1, 2, 3]]), ["a", "b"])
    reader: Any = Given(torch.tensor([[10.0, 1.0], [20.0, 2.0]]), torch.tensor([[True, True], [True, False]]))
    found = score_length(reader, windows, 3, 2)

    assert (found.nll.tolist(), found.hits.tolist()) == ([1.0, 2.0], [1.0, 0.0])
    assert (found.counts.tolist(), found.sizes.tolist()) == ([1.0, 1.0], [7.0, 3.0])
    with pytest.raises(Refusal, match=r"evaluation\.scored_tokens: a document has no target"):
        score_length(reader, Windows(windows.tokens, ~targets, windows.sizes, ["a", "b"]), 3, 1)


def whole_lines(reader: Any, windows: Windows, edges: list[int]) -> list[Line]:
    length = windows.tokens.shape[1]
    return score_windows(reader, windows, range(len(windows.names)), length, min(10, length - 1), edges)


def test_one_pass_gives_the_same_as_scoring_the_length_alone(network: nn.Module, windows: Windows) -> None:
    reader, edges = WholeReader(network, 200), position_edges(32, 96)
    lines = whole_lines(reader, windows, edges)
    whole, alone = stacked(lines), score_length(reader, windows, 96, 10)

    for name in ("nll", "hits", "counts", "sizes"):
        np.testing.assert_allclose(getattr(whole, name), getattr(alone, name), atol=1e-5)
    assert sum(row["tokens"] for row in by_position(lines, edges, "base")) == 4 * 95


def test_buckets_are_half_open_and_their_mean_is_the_whole_nll(network: nn.Module, windows: Windows) -> None:
    reader, edges = WholeReader(network, 200), position_edges(32, 96)
    nll, _ = reader.score(windows.tokens, 95)
    rows = by_position(whole_lines(reader, windows, edges), edges, "base")

    places = [(row["low_position"], row["high_position"]) for row in rows]
    assert places == [(0, 8), (8, 16), (16, 24), (24, 32), (32, 48), (48, 64), (64, 96)]
    assert [row["tokens"] for row in rows] == [4 * (high - max(low, 1)) for low, high in places]
    for row in rows:
        inside = nll[:, [p - 1 for p in range(1, 96) if row["low_position"] <= p < row["high_position"]]]
        assert row["nll"] == pytest.approx(float(inside.double().mean()), abs=1e-9)
    weighted = sum(row["nll"] * row["tokens"] for row in rows) / sum(row["tokens"] for row in rows)
    assert weighted == pytest.approx(float(nll.double().mean()), abs=1e-9)


def test_a_bucket_without_a_target_has_no_row() -> None:
    targets = torch.zeros(1, 8, dtype=torch.bool)
    targets[0, [5, 7]] = True
    windows = Windows(torch.zeros(1, 8, dtype=torch.long), targets, torch.ones(1, 8, dtype=torch.long), ["a"])
    reader, edges = Given(torch.arange(1.0, 8.0)[None], torch.ones(1, 7)), [0, 4, 6, 8]
    rows = by_position(whole_lines(reader, windows, edges), edges, "base")

    assert [(row["low_position"], row["nll"], row["tokens"]) for row in rows] == [(4, 5.0, 1), (6, 7.0, 1)]


@pytest.mark.parametrize(
    ("trained", "longest", "edges"),
    [
        (32, 16, [0, 8, 16]),
        (32, 32, [0, 8, 16, 24, 32]),
        (32, 100, [0, 8, 16, 24, 32, 48, 64, 96, 100]),
        (2, 5, [0, 1, 2, 3, 4, 5]),
        (256, 2048, [0, 64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048]),
    ],
)
def test_edges_are_quarters_and_then_double(trained: int, longest: int, edges: list[int]) -> None:
    assert position_edges(trained, longest) == edges
