"""What is scored once serves all that looks at it: sums, positions, key tokens, sliding windows and the unshifted."""

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
from ctxext.evaluation.text.lines import edges_at, lines_at
from ctxext.evaluation.text.longppl import key_tokens, token_losses
from ctxext.evaluation.text.shift import shift
from ctxext.evaluation.text.sliding import sliding

TRAINED, SCORED = 32, 10


@pytest.fixture
def ground(
    make_ground: Callable[..., Ground], make_settings: Callable[..., Evaluation], corpus: Corpus, tokenizer: Tokenizer
) -> Ground:
    return make_ground(make_settings(), TRAINED, corpus, tokenizer)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl")


@pytest.fixture
def passes(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """A list that grows by the shape of each pass of the network."""
    shapes: list[torch.Size] = []
    hidden: Callable[..., Tensor] = network.hidden  # type: ignore[assignment]

    def counted(tokens: Tensor, *others: Tensor, **named: object) -> Tensor:
        shapes.append(tokens.shape)
        return hidden(tokens, *others, **named)

    monkeypatch.setattr(network, "hidden", counted, raising=False)
    return shapes


def test_a_line_has_the_sums_of_its_tokens(network: nn.Module, ground: Ground, ledger: Ledger) -> None:
    reader = WholeReader(network, 300)
    nll, hit = reader.score(ground.windows.last(48), SCORED)

    for line, losses, hits in zip(lines_at(reader, ground, ledger, 48), nll.double(), hit, strict=True):
        assert line["tokens"] == losses.tolist()
        assert line["nll"] == pytest.approx(float(losses.sum()))
        assert line["hits"] == float(hits.sum())
        assert line["buckets"] == []


def test_only_one_pass_over_the_longest_windows_has_positions(network: nn.Module, ground: Ground) -> None:
    whole, truncated = WholeReader(network, 300), TruncatedReader(network, 300, TRAINED, 1)

    assert edges_at(whole, ground, 96)[-1] == 96
    assert [edges_at(whole, ground, length) for length in (16, 32, 48)] == [[], [], []]
    assert edges_at(truncated, ground, 96) == []


def test_the_control_is_scored_once_for_all_lengths_that_it_cannot_tell_apart(
    network: nn.Module, ground: Ground, ledger: Ledger, passes: list[torch.Size]
) -> None:
    reader = TruncatedReader(network, 300, TRAINED, 1)
    constant = lines_at(reader, ground, ledger, 48)
    before = len(passes)

    assert lines_at(reader, ground, ledger, 96) == constant
    assert len(passes) == before


def test_key_tokens_and_the_control_are_scored_once(
    network: nn.Module, ground: Ground, ledger: Ledger, passes: list[torch.Size], tmp_path: Path
) -> None:
    control = Ledger(tmp_path / "control.jsonl")
    reader = TruncatedReader(network, ground.settings.batch_tokens, TRAINED, 1)
    key_tokens("the base", network, ground, ledger, control)
    before = len(passes)

    lines_at(reader, ground, control, 96)
    token_losses(reader, ground, control, 96)

    assert len(passes) == before


def test_other_measures_take_what_is_known_of_the_longest_and_the_shortest(
    network: nn.Module, ground: Ground, ledger: Ledger, passes: list[torch.Size]
) -> None:
    reader = WholeReader(network, 300)
    shortest, longest = lines_at(reader, ground, ledger, 16), lines_at(reader, ground, ledger, 96)
    before = len(passes)
    unshifted, slid = shift(reader, ground, ledger, 16), sliding(reader, ground, ledger, 96)

    assert len(passes) == before
    assert unshifted["value"] == pytest.approx(sum(line["nll"] for line in shortest) / (4 * SCORED))
    assert slid["n"] == 4 * 95
    assert slid["windows"] == 4
    assert [len(line["tokens"]) for line in longest] == [SCORED] * 4


def test_filler_is_read_once_for_all_texts(
    network: nn.Module, ground: Ground, ledger: Ledger, passes: list[torch.Size]
) -> None:
    shift(WholeReader(network, 300), ground, ledger, 96)

    assert passes == [(1, 80)] + [(1, 15)] * 4
