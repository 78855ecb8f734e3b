"""The memory of training in words."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctxext.commands import footprint
from ctxext.commands.extension import rows_of
from ctxext.commands.footprint import forecast_of, foretold, pace_of, planned, reached, taken, timed
from ctxext.commands.foundation import prepared
from ctxext.config.schema import Run
from ctxext.data.rows import Rows
from ctxext.refusal import Refusal
from ctxext.reporting.journal import Journal
from ctxext.training.memory import Forecast, Load

FORECAST = Forecast(700_000_000, 30_000_000, Load("the loss", 200_000_000, 0, 20_000_000), 50_000_000)


@pytest.fixture
def network(tiny: Callable[..., Run]) -> Any:
    run = tiny()
    return run.model.build(run.position, run.mask, run.attention)


def test_the_parts_are_told_with_their_sum() -> None:
    first, second = "700.0 MB held before it + 30.0 MB AdamW", "200.0 MB activations + 20.0 MB the loss"
    assert (
        foretold(FORECAST) == f"1.00 GB predicted at the peak of training, the loss: {first} + {second} + 50.0 MB slack"
    )


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
        forecast_of(network, each, rows_of(each, data), tmp_path) for each in (run, tiny("trainer.batch_tokens=512"))
    )

    assert double.load.activations == pytest.approx(2 * short.load.activations, rel=0.05)
    assert short.adamw == 2 * 4 * sum(part.numel() for part in network.parameters())
    assert re.fullmatch(r".* predicted .*", foretold(short))
    assert torch.is_grad_enabled()


@pytest.fixture
def rows(tiny: Callable[..., Run], tmp_path: Path) -> Rows:
    return rows_of(tiny(), prepared(tiny(), Journal(tmp_path, "a")))


def test_what_cannot_fit_is_refused_with_what_would(
    tiny: Callable[..., Run], network: Any, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, whole = tiny("trainer.batch_tokens=4096"), []
    for settings in ((), ("trainer.accumulate=2",), ("trainer.accumulate=4",)):
        whole.append(forecast_of(network, tiny("trainer.batch_tokens=4096", *settings), rows, tmp_path).added)
    assert whole == sorted(whole, reverse=True)

    monkeypatch.setattr(footprint, "CERTAIN", 1.0)
    monkeypatch.setattr(footprint, "free", lambda device: whole[2])
    with pytest.raises(Refusal, match=r"^training adds about .*B to the memory, and .*B are free; ") as told:
        forecast_of(network, run, rows, tmp_path)
    assert str(told.value).endswith("; trainer.accumulate=4 would fit")
    fitting = tiny("trainer.batch_tokens=4096", "trainer.accumulate=4")
    assert forecast_of(network, fitting, rows, tmp_path).added <= whole[2]
    (tmp_path / "step-00000002").mkdir()
    with pytest.raises(
        Refusal, match=r"accumulate=4 would fit; step 2 is saved, .*resume_allow=\[trainer.accumulate\]$"
    ):
        forecast_of(network, run, rows, tmp_path)


def test_where_no_setting_is_enough_a_smaller_task_is_advised(
    tiny: Callable[..., Run], network: Any, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footprint, "free", lambda device: 1000)
    with pytest.raises(Refusal, match=r"a smaller context_length or model, or trainer.adapter=lora, takes less$"):
        forecast_of(network, tiny(), rows, tmp_path)


def test_time_is_told_for_a_step_and_for_all(
    tiny: Callable[..., Run], network: Any, rows: Rows, tmp_path: Path
) -> None:
    assert timed(2.5, 60) == "about 2.5 s a step, 2:30 min for 60 steps, predicted"
    assert taken(2.5, [{"seconds": 0.1}, {"seconds": 0.2}, {"seconds": 9.0}]) == "200 ms a step, 2.5 s predicted"
    assert 0 < pace_of(network, tiny(), rows) < pace_of(network, tiny("trainer.batch_tokens=65536"), rows)
    told = r"training will take \S+ .?B of memory, and about .* a step, .* for \d+ steps, predicted"
    assert re.fullmatch(told, planned(network, tiny(), rows, tmp_path))
