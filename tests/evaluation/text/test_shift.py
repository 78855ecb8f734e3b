"""A passage behind filler: what a network says of it depends on where it stands only if its positions do."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from ctxext.data.corpus import Corpus
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.evaluation.settings import Evaluation
from ctxext.evaluation.text.language import score_length
from ctxext.evaluation.text.shift import filler_of, shift, shift_obstacle
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.position.sinusoidal import Sinusoidal


@pytest.fixture
def ground(
    make_ground: Callable[..., Ground], make_settings: Callable[..., Evaluation], corpus: Corpus, tokenizer: Tokenizer
) -> Ground:
    return make_ground(make_settings(scored_tokens=6), 32, corpus, tokenizer)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl")


def test_the_passage_alone_is_the_text_of_the_shortest_length(
    network: nn.Module, ground: Ground, ledger: Ledger
) -> None:
    reader = WholeReader(network, 300)
    found, plain = shift(reader, ground, ledger, 16), score_length(reader, ground.windows, 16, 6).row("base", 16)

    assert found["value"] == pytest.approx(plain["nll"], abs=1e-6)
    assert (found["n"], found["position"]) == (4 * 6, 0)
    assert found["low"] == pytest.approx(plain["low"], abs=1e-6)


@pytest.mark.parametrize("length", [32, 96])
def test_each_scored_token_is_read_from_filler_and_passage(
    network_of: Callable[..., nn.Module],
    ground: Ground,
    ledger: Ledger,
    oracle: Callable[..., tuple[Tensor, Tensor]],
    length: int,
) -> None:
    network = network_of().double()
    found = shift(WholeReader(network, 100), ground, ledger, length)

    texts = torch.stack([torch.cat((filler_of(ground), row[-16:]))[-length:] for row in ground.windows.tokens])
    nll, _ = oracle(network, texts, 6, length)
    assert found["value"] == pytest.approx(float(nll.mean()), abs=1e-6)
    assert found["position"] == length - 16


def test_relative_positions_that_see_no_filler_are_flat_and_absolute_ones_are_not(
    network_of: Callable[..., nn.Module], ground: Ground, ledger: Ledger, tmp_path: Path
) -> None:
    relative = WholeReader(network_of(mask=SlidingWindow(4)).double(), 300)
    absolute = WholeReader(network_of(position=Sinusoidal(10000.0), mask=SlidingWindow(4)).double(), 300)
    beside = Ledger(tmp_path / "other.jsonl")

    # Two layers of 4 tokens each reach 6 tokens back, and 10 stand between the filler and what is scored.
    flat = [shift(relative, ground, ledger, length)["value"] for length in (16, 32, 96)]
    moved = [shift(absolute, ground, beside, length)["value"] for length in (16, 32, 96)]

    assert max(flat) - min(flat) < 1e-6
    assert max(moved) - min(moved) > 1e-3


def test_the_filler_is_whole_sentences_up_to_the_passage_and_the_same_for_all(ground: Ground) -> None:
    filler = filler_of(ground)

    assert len(filler) == 96 - 16
    assert ground.tokenizer.decode(filler.tolist()).endswith(".")
    assert filler.tolist() == filler_of(ground).tolist()


def test_a_reader_that_puts_every_token_at_the_start_has_no_shift(network: nn.Module, ground: Ground) -> None:
    assert "from position 0" in shift_obstacle(TruncatedReader(network, 100, 32, 1), ground)
    assert shift_obstacle(WholeReader(network, 100), ground) == ""
