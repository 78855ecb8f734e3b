"""What is said when memory runs out in training."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ctxext.commands import ceiling as ceilings
from ctxext.commands.ceiling import Ceiling
from ctxext.training.memory import Forecast, Load

CPU = torch.device("cpu")
FORECAST = Forecast(100_000_000, 1_000_000, Load("the loss", 64_000_000, 0, 0), 0)


def ceiling(tmp_path: Path, accumulate: int = 1, sparing: bool = False) -> Ceiling:
    trainer = SimpleNamespace(batch_tokens=4096, accumulate=accumulate, gradient_checkpointing=sparing)
    run: Any = SimpleNamespace(trainer=trainer)
    rows: Any = SimpleNamespace(length=256)
    return Ceiling(run, rows, CPU, tmp_path)


def said(under: Ceiling, error: BaseException, monkeypatch: pytest.MonkeyPatch, room: int) -> str:
    monkeypatch.setattr(ceilings, "free", lambda device: room - 1)
    monkeypatch.setattr(ceilings, "held", lambda device: 1)
    with pytest.raises(MemoryError) as raised, under:
        raise error
    return str(raised.value)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has\nmore words"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_it_is_one_sentence_with_the_batch_the_numbers_and_what_helps(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    under = ceiling(tmp_path)
    under.forecast = FORECAST
    sentence = said(under, error, monkeypatch, room=135_000_000)

    assert "\n" not in sentence
    assert sentence.startswith("out of memory at 16 rows of 256 tokens in 1 part")
    assert str(error).partition("\n")[0].rstrip(".") in sentence
    assert "165.0 MB predicted, 15.6 kB a token, 135.0 MB can be had" in sentence
    assert "trainer.accumulate=2 fits by estimate, or trainer.gradient_checkpointing=true takes less" in sentence
    assert sentence.endswith("no step is saved yet")


@pytest.mark.parametrize(("room", "count"), [(160_000_000, 2), (120_000_000, 4), (106_000_000, 16)])
def test_the_fewest_parts_that_fit_are_named(
    room: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    under = ceiling(tmp_path, sparing=True)
    under.forecast = FORECAST
    assert f"trainer.accumulate={count} fits by estimate; " in said(under, MemoryError(), monkeypatch, room)


def test_where_not_even_a_row_fits_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    under = ceiling(tmp_path)
    under.forecast = FORECAST
    sentence = said(under, MemoryError(), monkeypatch, 101_000_000)
    assert "not even one row at a time fits by estimate, a smaller context_length" in sentence


def test_before_anything_was_predicted_it_says_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "step-00000007").mkdir()
    sentence = said(ceiling(tmp_path, accumulate=3), MemoryError(), monkeypatch, 5_000_000)

    assert "in 3 parts: 5.0 MB can be had; trainer.accumulate=6 or trainer.gradient_checkpointing=true" in sentence
    assert "step 7 is saved, from which it goes on" in sentence
    assert sentence.endswith("trainer.resume_allow=[trainer.accumulate]")


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"), ceiling(tmp_path):
        raise RuntimeError("shapes")
