"""What is said when memory runs out in training."""

import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ctxext.commands import ceiling as ceilings
from ctxext.commands.ceiling import Ceiling
from ctxext.training.fitting import spared
from ctxext.training.memory import Forecast, Load
from ctxext.training.settings import Trainer

SETTINGS = Trainer(6, 4096, 1, 0.02, 1.0, 0, 0.0, 0.9, 0.95, 1.0, 3, 9, "auto", "fp32", False)
FORECAST = Forecast(100_000_000, 1_000_000, Load("the loss", 64_000_000, 0, 0), 0)


def ceiling(tmp_path: Path, accumulate: int = 1, sparing: bool = False) -> Ceiling:
    network: Any = SimpleNamespace(unembedding=[torch.zeros(1)])
    trainer = replace(SETTINGS, accumulate=accumulate, gradient_checkpointing=sparing)
    run: Any = SimpleNamespace(trainer=trainer)
    rows: Any = SimpleNamespace(length=256)
    return Ceiling(network, run, rows, tmp_path)


def remedied(settings: Trainer, room: int) -> str:
    """Return what fits into `room` where the load is all in the rows, as `ctxext.training.fitting` orders it."""
    for words, changed in spared(settings, 16):
        if not changed.gradient_checkpointing and 1_000_000 + 64_000_000 // changed.accumulate <= room:
            return words
    return ""


def said(under: Ceiling, error: BaseException, monkeypatch: pytest.MonkeyPatch, room: int) -> str:
    monkeypatch.setattr(ceilings, "free", lambda device: room - 1)
    monkeypatch.setattr(ceilings, "first_batch", lambda network, run, rows: rows)
    monkeypatch.setattr(ceilings, "remedy", lambda network, batch, settings, left: remedied(settings, left))
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
    assert "can be had; trainer.accumulate=2 fits by estimate; " in sentence
    assert sentence.endswith("no step is saved yet")


@pytest.mark.parametrize(("room", "count"), [(160_000_000, 2), (120_000_000, 4), (105_500_000, 16)])
def test_the_fewest_parts_that_fit_are_named(
    room: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    under = ceiling(tmp_path)
    under.forecast = FORECAST
    assert f"trainer.accumulate={count} fits by estimate; " in said(under, MemoryError(), monkeypatch, room)


def test_where_not_even_a_row_fits_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    under = ceiling(tmp_path)
    under.forecast = FORECAST
    sentence = said(under, MemoryError(), monkeypatch, 101_000_000)
    assert "can be had; a smaller context_length or model, or trainer.adapter=lora, takes less; " in sentence


def test_where_memory_runs_out_again_in_asking_what_fits_it_is_still_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(settings: Trainer, room: int) -> str:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setitem(globals(), "remedied", fail)
    under = ceiling(tmp_path)
    under.forecast = FORECAST
    assert "can be had; trainer.accumulate=2 takes less; " in said(under, MemoryError(), monkeypatch, 101_000_000)


def test_what_the_step_had_made_is_given_back_before_it_is_asked_what_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    def step() -> None:
        large = torch.zeros(9)
        made.append(weakref.ref(large))
        raise MemoryError

    def see(settings: Trainer, room: int) -> str:
        made.append(made[0]())
        return ""

    monkeypatch.setattr(ceilings, "first_batch", lambda network, run, rows: rows)
    monkeypatch.setattr(ceilings, "remedy", lambda network, batch, settings, left: see(settings, left))
    under = ceiling(tmp_path)
    under.forecast = FORECAST
    with pytest.raises(MemoryError), under:
        step()
    assert made[1] is None


def test_before_anything_was_predicted_it_says_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "step-00000007").mkdir()
    sentence = said(ceiling(tmp_path, accumulate=3), MemoryError(), monkeypatch, 5_000_000)

    assert "in 3 parts: 5.0 MB can be had; trainer.accumulate=4 takes less" in sentence
    assert "step 7 is saved, from which it goes on" in sentence
    assert sentence.endswith("trainer.resume_allow=[trainer.accumulate]")


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"), ceiling(tmp_path):
        raise RuntimeError("shapes")
