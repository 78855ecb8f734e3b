"""The memory of a run's training, said before the first step and after the last."""

from __future__ import annotations

from typing import Any

from ctxext.config.schema import Run
from ctxext.data.rows import Rows
from ctxext.model.resident import peak
from ctxext.reporting.proof import in_bytes
from ctxext.training import memory
from ctxext.training.memory import Forecast


def forecast_of(network: Any, run: Run, rows: Rows) -> Forecast:
    """Return the memory that training `network` on `rows` takes, as `run` says."""
    batch = rows.batch(0, run.trainer.batch_tokens // rows.length)
    return memory.forecast(network, batch.to(network.unembedding[0].device), run.trainer)


def foretold(forecast: Forecast) -> str:
    """Return the numbers of `forecast` in words."""
    parts = {
        "held before it": forecast.held,
        "gradients and AdamW": forecast.optimiser,
        "activations": forecast.activations,
        "the loss": forecast.loss,
        "slack": forecast.slack,
    }
    summed = " + ".join(f"{in_bytes(number)} {name}" for name, number in parts.items())
    return f"{in_bytes(forecast.peak)} predicted at the peak of training: {summed}"


def reached(forecast: Forecast, before: int, network: Any) -> str:
    """Return what training `network` took at its peak beside its `forecast`; `before` was the peak until then."""
    after = peak(network.unembedding[0].device)
    took = f"no more than the {in_bytes(before)} of what came before" if after == before else in_bytes(after)
    return f"{took} at the peak of training, {in_bytes(forecast.peak)} predicted"
