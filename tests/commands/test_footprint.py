"""The memory of training in words."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctxext.commands import footprint
from ctxext.commands.extension import rows_of
from ctxext.commands.footprint import forecast_of, foretold, reached
from ctxext.commands.foundation import prepared
from ctxext.config.schema import Run
from ctxext.reporting.journal import Journal
from ctxext.training.memory import Forecast

FORECAST = Forecast(held=700_000_000, optimiser=30_000_000, activations=200_000_000, loss=20_000_000, slack=50_000_000)


@pytest.fixture
def network(tiny: Callable[..., Run]) -> Any:
    run = tiny()
    return run.model.build(run.position, run.mask, run.attention)


def test_the_parts_are_told_with_their_sum() -> None:
    first, second = "700.0 MB held before it + 30.0 MB gradients and AdamW", "200.0 MB activations + 20.0 MB the loss"
    assert foretold(FORECAST) == f"1.00 GB predicted at the peak of training: {first} + {second} + 50.0 MB slack"


def test_what_was_reached_is_told_beside_the_prediction(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "peak", lambda device: 900_000_000)

    assert reached(FORECAST, 800_000_000, network) == "900.0 MB at the peak of training, 1.00 GB predicted"
    same = "no more than the 900.0 MB of what came before at the peak of training, 1.00 GB predicted"
    assert reached(FORECAST, 900_000_000, network) == same


def test_a_longer_row_takes_more_and_the_batch_is_that_of_a_step(
    tiny: Callable[..., Run], network: Any, tmp_path: Path
) -> None:
    run = tiny()
    data = prepared(run, Journal(tmp_path, "a"))
    short, double = (
        forecast_of(network, each, rows_of(each, data)) for each in (run, tiny("trainer.batch_tokens=512"))
    )

    assert double.activations == pytest.approx(2 * short.activations, rel=0.05)
    assert short.optimiser == 3 * 4 * sum(part.numel() for part in network.parameters())
    assert re.fullmatch(r".* predicted .*", foretold(short))
    assert torch.is_grad_enabled()
