"""The memory and the time of a run's training, said before the first step and after the last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from ctxext.config.schema import Run
from ctxext.data.rows import Batch, Rows
from ctxext.model.resident import free, peak
from ctxext.parallel.mesh import here
from ctxext.refusal import Refusal
from ctxext.reporting.measured import Row
from ctxext.reporting.progress import in_time
from ctxext.reporting.proof import in_bytes
from ctxext.training import memory
from ctxext.training.checkpoint import steps
from ctxext.training.fitting import remedy
from ctxext.training.memory import Forecast
from ctxext.training.pace import step_seconds

CERTAIN = 1.2
"""What is predicted may be a fifth too much: a run is refused where it can't fit even so."""

SMALLER = "a smaller context_length or model, or trainer.adapter=lora,"


def first_batch(network: Any, run: Run, rows: Rows) -> Batch:
    """Return what this process has of the first batch of `rows` that `run` trains `network` on, where its weights lie.

    Of shared rows it is as many of the first columns.
    """
    whole, mesh = rows.batch(0, run.trainer.batch_tokens // rows.length), here()
    own, size = mesh.rows(len(whole.samples)), rows.length // mesh.settings.context
    batch = replace(whole.each(lambda tensor: tensor[own, :size]), samples=whole.samples[own])
    return batch.to(network.unembedding[0].device)


def forecast_of(network: Any, run: Run, rows: Rows, checkpoints: Path | None = None) -> Forecast:
    """Return the memory that training `network` on `rows` takes, as `run` says; refuse what can't fit.

    The refusal names settings that would, and how what is saved in `checkpoints`, if any, goes on under them.
    """
    batch = first_batch(network, run, rows)
    forecast, available = memory.forecast(network, batch, run.trainer), free(batch.tokens.device)
    if forecast.added > CERTAIN * available and here().settings.shard == 1:  # of weights that aren't parted
        sentence = f"training adds about {in_bytes(forecast.added)} to the memory, and {in_bytes(available)} are free"
        settings = remedy(network, batch, run.trainer, available)
        advice = f"{settings} would fit" if settings else f"{SMALLER} takes less"
        kept = saved_in(checkpoints) if checkpoints and "trainer.accumulate=" in settings else ""
        raise Refusal("; ".join(filter(None, (sentence, advice, kept))))
    return forecast


def saved_in(checkpoints: Path) -> str:
    """Return which step of `checkpoints` a run goes on from, and how in other parts, or nothing if none is saved."""
    saved = max(steps(checkpoints), default=0)
    way = "from which it goes on, in other parts with trainer.resume_allow=[trainer.accumulate]"
    return f"step {saved} is saved, {way}" if saved else ""


def foretold(forecast: Forecast) -> str:
    """Return the numbers of `forecast` in words."""
    moment, activations, gradients, loss = forecast.load
    parts = {
        "held before it": forecast.held,
        "AdamW": forecast.adamw,
        "activations": activations,
        "gradients": gradients,
        "the loss": loss,
        "slack": forecast.slack,
    }
    summed = " + ".join(f"{in_bytes(number)} {name}" for name, number in parts.items() if number)
    return f"{in_bytes(forecast.peak)} predicted at the peak of training, {moment}: {summed}"


def reached(forecast: Forecast, before: int, network: Any) -> str:
    """Return what training `network` took at its peak beside its `forecast`; `before` was the peak until then."""
    after = peak(network.unembedding[0].device)
    took = f"no more than the {in_bytes(before)} of what came before" if after == before else in_bytes(after)
    return f"{took} at the peak of training, {in_bytes(forecast.peak)} predicted"


def pace_of(network: Any, run: Run, rows: Rows) -> float:
    """Return about how many seconds a step takes that trains `network` on `rows`, as `run` says."""
    return step_seconds(network, first_batch(network, run, rows), run.trainer)


def timed(seconds: float, steps: int) -> str:
    """Return how long `steps` that take `seconds` each are, in words."""
    return f"about {in_time(seconds)} a step, {in_time(steps * seconds)} for {steps} steps, predicted"


def taken(seconds: float, rows: Iterable[Row]) -> str:
    """Return how long the steps of `rows` took beside the `seconds` that were foretold for each."""
    return f"{in_time(median(row['seconds'] for row in rows))} a step, {in_time(seconds)} predicted"


def planned(network: Any, run: Run, rows: Rows, checkpoints: Path) -> str:
    """Return in brief what training `network` on `rows` takes, as `run` says; refuse what can't fit.

    What is saved already is in `checkpoints`.
    """
    size = in_bytes(forecast_of(network, run, rows, checkpoints).peak)
    return f"training will take {size} of memory, and {timed(pace_of(network, run, rows), run.trainer.steps)}"
