"""LongPPL against a network that copies from a known distance: its key tokens are those that are copies."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from ctxext.data.corpus import Corpus
from ctxext.evaluation.ground import Ground, KeyTokens
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.evaluation.settings import Evaluation
from ctxext.evaluation.text.language import Windows
from ctxext.evaluation.text.longppl import key_tokens, long_gain, longppl, longppl_obstacle, short_losses, token_losses
from ctxext.kernels.loss import Unembedding

VOCABULARY, DISTANCE, TRAINED = 50, 24, 32


class Copier:
    """Expects the token that stood `distance` before, with odds of exp(`odds`) to 1 against each other one.

    Where none stood there it expects what never comes, with odds of exp(`error`).
    """

    def __init__(self, distance: int, odds: float, error: float = 0.0) -> None:
        self.distance, self.odds, self.error = distance, odds, error
        self.unembedding = Unembedding(torch.eye(VOCABULARY, dtype=torch.float64), None, 0.0)

    def hidden(self, tokens: Tensor, positions: Tensor) -> Tensor:
        found = torch.zeros(*tokens.shape, VOCABULARY, dtype=torch.float64)
        back = self.distance - 1
        found[:, :back, -1] = self.error
        if tokens.shape[1] > back:
            copied = torch.nn.functional.one_hot(tokens[:, : tokens.shape[1] - back], VOCABULARY)
            found[:, back:] = self.odds * copied
        return found


@pytest.fixture
def ground(
    make_ground: Callable[..., Ground], make_settings: Callable[..., Evaluation], corpus: Corpus, tokenizer: Tokenizer
) -> Ground:
    """Texts that are copies of what stood 24 tokens before, one half of the tokens; the trained length is 32."""
    settings = make_settings(lengths=[32, 64, 96], scored_tokens=30)
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(VOCABULARY - 1, (4, 96), generator=draw)
    for place in range(DISTANCE, 96):
        copied = torch.rand(4, generator=draw) < 0.5
        tokens[copied, place] = tokens[copied, place - DISTANCE]
    windows = Windows(tokens, torch.ones_like(tokens, dtype=torch.bool), tokens, list("abcd"))
    return replace(make_ground(settings, TRAINED, corpus, tokenizer), windows=windows)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl")


def copies(ground: Ground) -> Tensor:
    tokens = ground.windows.tokens
    return (tokens[:, DISTANCE:] == tokens[:, :-DISTANCE])[:, -30:]


def nll_of(odds: float, is_copy: bool) -> float:
    return math.log(math.exp(odds) + VOCABULARY - 1) - odds * is_copy


def test_key_tokens_are_those_that_only_long_context_tells(ground: Ground, ledger: Ledger) -> None:
    keys = key_tokens("the base", Copier(DISTANCE, 8.0), ground, ledger, ledger)

    assert keys.chosen.tolist() == copies(ground).tolist()
    assert keys.chosen.sum() > 30


@pytest.mark.parametrize(
    ("odds", "error", "is_key"),
    [
        (3.0, 0.0, True),  # from 3.91 nats to 1.23
        (2.1, 0.0, False),  # to 1.95, which is likely, but less than 2 nats better
        (2.1, 9.0, True),  # from 9.01 to 1.95
        (2.0, 9.0, False),  # to 2.03, which is far better, but not likely
    ],
)
def test_a_gain_of_more_than_two_nats_and_a_loss_below_two_make_a_key(
    ground: Ground, ledger: Ledger, odds: float, error: float, is_key: bool
) -> None:
    keys = key_tokens("the base", Copier(DISTANCE, odds, error), ground, ledger, ledger)

    assert keys.chosen.tolist() == (copies(ground) & is_key).tolist()


@pytest.mark.parametrize("distance", [8, 16, 33])
def test_what_half_a_length_tells_or_a_whole_one_does_not_is_no_key(
    ground: Ground, ledger: Ledger, distance: int
) -> None:
    assert not key_tokens("the base", Copier(distance, 8.0), ground, ledger, ledger).chosen.any()


@torch.no_grad()
def test_half_a_length_is_exactly_that(ground: Ground, ledger: Ledger, network: nn.Module) -> None:
    tokens = ground.windows.tokens
    found = short_losses(network, ground, ledger)

    row, place = 2, 80
    context = tokens[row : row + 1, place - 16 : place]
    hidden = network.hidden(context, torch.arange(16)[None])[0, -1]  # type: ignore[operator]
    logits = network.unembedding.logits(hidden)  # type: ignore[union-attr,operator]
    wanted = -torch.log_softmax(logits.double(), 0)[tokens[row, place]]
    assert float(found[row, place - 66]) == pytest.approx(float(wanted), abs=1e-5)


def test_longppl_is_the_perplexity_of_the_keys_alone(ground: Ground, ledger: Ledger) -> None:
    ground = replace(ground, keys=KeyTokens("the base", copies(ground)))
    of = int(copies(ground).sum())

    subject, ignorant = WholeReader(Copier(DISTANCE, 3.0), 200), WholeReader(Copier(99, 3.0), 200)
    found = longppl(subject, ground, ledger, 96)
    uniform = longppl(ignorant, ground, Ledger(ledger.path.with_name("other.jsonl")), 96)

    assert found["value"] == pytest.approx(math.exp(nll_of(3.0, True)))
    assert found["low"] == pytest.approx(found["high"]) == pytest.approx(found["value"])
    assert uniform["value"] == pytest.approx(VOCABULARY)
    assert (found["n"], found["tokens"], found["evaluator"]) == (of, 120, "the base")


def test_a_document_without_key_tokens_does_not_break_the_interval(ground: Ground, ledger: Ledger) -> None:
    chosen = copies(ground)
    chosen[1] = False
    ground = replace(ground, keys=KeyTokens("the base", chosen))

    found = longppl(WholeReader(Copier(DISTANCE, 3.0), 200), ground, ledger, 96)

    assert found["n"] == chosen.sum()
    assert found["low"] <= found["value"] <= found["high"]


@pytest.mark.parametrize(("count", "is_enough"), [(29, False), (30, True)])
def test_fewer_than_thirty_keys_are_missing_with_their_number(ground: Ground, count: int, is_enough: bool) -> None:
    chosen = torch.zeros(4, 30, dtype=torch.bool)
    chosen.view(-1)[:count] = True
    reader: Any = None

    reason = longppl_obstacle(reader, replace(ground, keys=KeyTokens("the base", chosen)))

    assert (reason == "") == is_enough
    assert is_enough or "29 key tokens of 120 in the eyes of the base" in reason


def test_without_an_evaluator_the_reason_is_said(ground: Ground) -> None:
    reader: Any = None
    assert longppl_obstacle(reader, replace(ground, keys="it is not at hand")) == "it is not at hand"


def test_tokens_that_are_no_targets_are_no_keys(ground: Ground, ledger: Ledger) -> None:
    ground.windows.targets[0] = False

    keys = key_tokens("the base", Copier(DISTANCE, 8.0), ground, ledger, ledger)

    assert not keys.chosen[0].any()
    assert keys.chosen[1:].any()


def test_the_gain_is_what_more_context_takes_off(ground: Ground, ledger: Ledger) -> None:
    reader = WholeReader(Copier(DISTANCE, 3.0), 200)
    found, is_copy = long_gain(reader, ground, ledger, 96), copies(ground)

    wanted = [math.log(VOCABULARY) - nll_of(3.0, bool(copied)) for copied in is_copy.flatten()]
    assert found["value"] == pytest.approx(sum(wanted) / len(wanted))
    assert found["low"] < found["value"] < found["high"]
    assert found["n"] == 120


def test_a_network_that_more_context_misleads_has_a_gain_below_nothing(ground: Ground, ledger: Ledger) -> None:
    assert long_gain(WholeReader(Copier(50, 9.0), 200), ground, ledger, 96)["value"] < -1


def test_each_reader_keeps_its_own_tokens(ground: Ground, ledger: Ledger) -> None:
    model = Copier(DISTANCE, 3.0)
    whole = token_losses(WholeReader(model, 200), ground, ledger, 96)
    short = token_losses(TruncatedReader(model, 200, 16, 1), ground, ledger, 96)

    assert not torch.equal(whole, short)
    again = Ledger(ledger.path)
    unreadable: Any = None
    assert torch.equal(token_losses(WholeReader(unreadable, 200), ground, again, 96), whole)
    assert torch.equal(token_losses(TruncatedReader(unreadable, 200, 16, 1), ground, again, 96), short)
