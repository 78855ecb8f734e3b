"""Where memory runs out at a length, the shorter ones are measured, and what would help is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from ctxext.data.corpus import Corpus
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.measure import Measurement, measure, weigh
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.evaluation.settings import Evaluation
from ctxext.evaluation.shortage import AT_ONE_ROW, beyond

LENGTHS = [24, 48, 64, 96]
ERRORS = {
    "cpu": RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: 8 bytes"),
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    "python": MemoryError(),
}


def test_lengths_beyond_one_without_memory_are_not_tried() -> None:
    assert beyond({24: "", 48: "its positions end at 30 tokens"}) == ""
    assert beyond({24: "", 48: AT_ONE_ROW}) == "out of memory at 48 already"


def test_what_is_said_names_the_keys_that_help_and_the_one_that_does_not() -> None:
    assert AT_ONE_ROW.startswith("out of memory at batch 1")
    for key in ("shorter evaluation.lengths", "device", "mask", "evaluation.batch_tokens no longer helps"):
        assert key in AT_ONE_ROW


@pytest.fixture
def ground(settings: Evaluation, corpus: Corpus, tokenizer: Tokenizer, make_ground: Callable[..., Ground]) -> Ground:
    settings.lengths, settings.tasks = LENGTHS, []
    found: Ground = make_ground(settings, 24, corpus, tokenizer)
    return found


def measured(network: nn.Module, ground: Ground, folder: Path) -> Measurement:
    """Return what the `network` scores, all at once in a batch where there is room."""
    ledger = Ledger(folder / "a.jsonl")
    reader = WholeReader(network, 10_000)
    found = measure("base", reader, ground, ledger)
    weigh(found, reader, ground)
    return found


def short_of_memory(monkeypatch: pytest.MonkeyPatch, network: nn.Module, most: int, error: Exception) -> None:
    """Let `network` raise `error` where it reads more than `most` tokens at once."""
    real: Any = network.hidden

    def hidden(tokens: Tensor, *others: Any, **named: Any) -> Tensor:
        if tokens.numel() > most:
            raise error
        read: Tensor = real(tokens, *others, **named)
        return read

    monkeypatch.setattr(network, "hidden", hidden)


@pytest.mark.parametrize("kind", ERRORS)
def test_the_rest_is_measured_as_ever_and_the_length_is_missing_with_its_reason(
    kind: str, network: nn.Module, ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measured(network, ground, tmp_path / "whole")
    short_of_memory(monkeypatch, network, 63, ERRORS[kind])  # of 64 tokens 63 are read for the text
    found = measured(network, ground, tmp_path / kind)

    assert found.unread == {96: AT_ONE_ROW}
    assert found.scored.keys() == {24, 48, 64}
    for length in (24, 48, 64):
        assert found.scored[length].nll.tolist() == pytest.approx(whole.scored[length].nll.tolist(), rel=1e-6)
    assert [row["length"] for row in found.cost] == [24, 48]  # of 64 tokens 64 are read in all
    missing = {row["length"]: row["reason"] for row in found.missing if row["what"] == "cost"}
    assert missing == {64: AT_ONE_ROW, 96: "out of memory at 64 already"}


def test_an_error_of_another_kind_is_not_taken_for_it(
    network: nn.Module, ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of_memory(monkeypatch, network, 63, RuntimeError("a shape is wrong"))
    with pytest.raises(RuntimeError, match="a shape is wrong"):
        measured(network, ground, tmp_path)


def test_the_truncated_subject_never_reads_so_much(
    network: nn.Module, ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of_memory(monkeypatch, network, 24, MemoryError())
    ledger = Ledger(tmp_path / "a.jsonl")
    reader = TruncatedReader(network, 24, 24, 1)
    found = measure("truncated", reader, ground, ledger)
    weigh(found, reader, ground)

    assert found.unread == {}
    assert [row["length"] for row in found.cost] == LENGTHS
