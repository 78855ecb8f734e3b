"""Sliding windows: every token once, whatever window and stride, weighted by tokens or as in YaRN's script."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from torch import Tensor, nn

from ctxext.data.corpus import Corpus
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.evaluation.settings import Evaluation
from ctxext.evaluation.text.language import Windows
from ctxext.evaluation.text.sliding import sliding, sliding_obstacle, sliding_yarn, spans, stride_at

Make = Callable[..., Ground]


@pytest.fixture
def ground(make_ground: Make, make_settings: Callable[..., Evaluation], corpus: Corpus, tokenizer: Tokenizer) -> Ground:
    return make_ground(make_settings(stride=7), 32, corpus, tokenizer)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl")


class Scripted:
    """A reader whose nll of a token is a function of how many tokens of its window are before it."""

    def __init__(self, nll: Callable[[Tensor], Tensor]) -> None:
        self.nll, self.read = nll, list[Tensor]()

    def score(self, windows: Tensor, scored: int) -> tuple[Tensor, Tensor]:
        self.read.append(windows)
        places = torch.arange(windows.shape[1])[-scored:].expand(windows.shape[0], -1)
        return self.nll(places.double()), places > 0

    def rows(self, length: int, scored: int) -> int:
        return 2


def with_text(ground: Ground, tokens: int) -> Ground:
    """The same with two texts of `tokens`, all of them targets, and sliding windows of 64."""
    text = torch.arange(2 * tokens).view(2, tokens) % 300
    return replace(ground, windows=Windows(text, torch.ones_like(text, dtype=torch.bool), text, ["a", "b"]))


@given(length=st.integers(2, 200), room=st.integers(2, 64), data=st.data(), unscored=st.integers(0, 1))
def test_every_token_is_scored_exactly_once(length: int, room: int, data: Any, unscored: int) -> None:
    stride = data.draw(st.integers(1, room - 1))
    found = list(spans(length, room, stride, unscored))

    scored = [place for span in found for place in range(span.stop - span.scored, span.stop)]
    assert scored == list(range(unscored, length))
    assert all(span.stop - span.start <= room for span in found)
    # What is scored in a later window has at least the window less the stride before it.
    assert all(span.stop - span.scored - span.start >= room - stride for span in found[1:])


@given(length=st.integers(2, 10_000), stride=st.integers(1, 10_000))
def test_a_stride_is_at_most_half_the_window(length: int, stride: int) -> None:
    assert 1 <= stride_at(length, stride) <= length / 2
    assert stride_at(length, stride) in (stride, length // 2)


def brute(network: Any, text: Tensor, start: int, place: int) -> float:
    """The nll of the token at `place` from a pass of its own over the tokens from `start` on, in doubles."""
    context = text[None, start:place]
    last = network.hidden(context, torch.arange(context.shape[1])[None])[0, -1]
    return -float(torch.log_softmax(network.unembedding.weight @ last, 0)[text[place]])


@pytest.mark.parametrize("length", [16, 48, 96])
@torch.no_grad()
def test_both_are_a_pass_of_its_own_for_every_token(
    network_of: Callable[..., nn.Module], ground: Ground, ledger: Ledger, length: int
) -> None:
    network = network_of().double()
    reader = WholeReader(network, 200)

    means, nlls = [], []
    for text in ground.windows.tokens:
        # As a script would write it: windows from 0, 7, 14, ... on, until one reaches the end.
        done, start = 1, 0
        while done < len(text):
            end = min(start + length, len(text))
            found = [brute(network, text, start, place) for place in range(done, end)]
            nlls += found
            means.append(sum(found) / len(found))
            start, done = start + 7, end
    plain, yarn = sliding(reader, ground, ledger, length), sliding_yarn(reader, ground, ledger, length)

    assert plain["value"] == pytest.approx(math.exp(sum(nlls) / len(nlls)), rel=1e-6)
    assert yarn["value"] == pytest.approx(math.exp(sum(means) / len(means)), rel=1e-6)
    for row in (plain, yarn):
        assert (row["n"], row["windows"], row["stride"], row["beginning"]) == (4 * 95, len(means), 7, 0)
        assert row["low"] <= row["value"] <= row["high"]


def test_with_a_stride_of_one_each_token_sees_as_much_as_a_window_holds(
    network_of: Callable[..., nn.Module], ground: Ground, ledger: Ledger, oracle: Callable[..., tuple[Tensor, Tensor]]
) -> None:
    network = network_of().double()
    ground.settings.stride = 1

    found = sliding(WholeReader(network, 500), ground, ledger, 32)

    nll, _ = oracle(network, ground.windows.tokens[:, :], 95, 31)
    assert found["value"] == pytest.approx(math.exp(nll.mean()), rel=1e-6)


@pytest.mark.parametrize(
    ("stride", "by_tokens", "by_windows"), [(32, 1.124, 1.069), (16, 1.124, 1.041), (1, 1.125, 1.014)]
)
def test_only_the_weighting_by_tokens_does_not_hang_on_the_stride(
    ground: Ground, ledger: Ledger, stride: int, by_tokens: float, by_windows: float
) -> None:
    # What is new in a text costs more for its first 32 tokens; after them every token costs the same.
    ground = with_text(ground, 600)
    ground.settings.stride = stride
    reader: Any = Scripted(lambda places: 1.012 + (places < 32) * 67.4 / 31)

    plain, yarn = sliding(reader, ground, ledger, 64), sliding_yarn(reader, ground, ledger, 64)

    assert plain["n"] == 2 * 599
    assert math.log(plain["value"]) == pytest.approx(by_tokens, abs=0.003)
    assert math.log(yarn["value"]) == pytest.approx(by_windows, abs=0.003)


def test_a_control_token_that_begins_texts_begins_every_window_and_is_never_scored(
    ground: Ground, ledger: Ledger
) -> None:
    ground = with_text(ground, 100)
    ground = replace(ground, windows=replace(ground.windows, beginning=(0,)))
    reader: Any = Scripted(torch.ones_like)

    found = sliding(reader, ground, ledger, 32)

    assert found["n"] == 2 * 100
    assert found["beginning"] == 1
    assert all(window[:, 0].eq(0).all() and window.shape[1] <= 32 for window in reader.read)
    assert reader.read[0].shape[1] == 32
    starts = [int(window[0, 1]) for window in reader.read]
    assert starts == list(range(0, 7 * len(starts), 7))


def test_tokens_that_are_no_targets_do_not_count(ground: Ground, ledger: Ledger) -> None:
    ground = with_text(ground, 100)
    ground.windows.targets[:, :90] = False
    reader: Any = Scripted(lambda places: places)

    found, yarn = sliding(reader, ground, ledger, 40), sliding_yarn(reader, ground, ledger, 40)

    # The last two windows are from 56 to 96 and from 63 to 100, and score 7 and 4 tokens; all before have no target.
    nll = [*range(34, 40), *range(33, 37)]
    assert (found["n"], found["windows"]) == (20, 4)
    assert math.log(found["value"]) == pytest.approx(sum(nll) / len(nll))
    assert math.log(yarn["value"]) == pytest.approx((36.5 + 34.5) / 2)


def test_windows_that_are_kept_are_not_read_again(ground: Ground, ledger: Ledger) -> None:
    reader: Any = Scripted(torch.ones_like)
    first = sliding(reader, ground, ledger, 32)
    count = len(reader.read)

    again = sliding_yarn(reader, ground, Ledger(ledger.path), 32)

    assert len(reader.read) == count > 0
    assert first["value"] == again["value"] == pytest.approx(math.e)
    ground.settings.stride = 5
    sliding(reader, ground, ledger, 32)
    assert len(reader.read) > count


def test_the_control_that_takes_a_pass_a_token_is_left_out(network: nn.Module, ground: Ground) -> None:
    assert "a window of 32 tokens" in sliding_obstacle(TruncatedReader(network, 100, 32, 1), ground)
    assert sliding_obstacle(WholeReader(network, 100), ground) == ""
