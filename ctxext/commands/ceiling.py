"""What is said when memory runs out in training: what was needed, what is there, and the setting that helps."""

from __future__ import annotations

import math
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from ctxext.config.schema import Run
from ctxext.data.rows import Rows
from ctxext.model.resident import free, held, is_out_of_memory
from ctxext.reporting.proof import in_bytes
from ctxext.training.checkpoint import steps
from ctxext.training.memory import Forecast


class Ceiling:
    """Says in one sentence that memory ran out in the training of `run` on `rows` while the block runs.

    `forecast` is what was predicted, once it is.
    """

    def __init__(self, run: Run, rows: Rows, device: torch.device, checkpoints: Path) -> None:
        """Take note of what the sentence names."""
        self.run, self.rows, self.device, self.checkpoints = run, rows, device, checkpoints
        self.forecast: Forecast | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and is_out_of_memory(error):
            raise MemoryError(self.sentence(error)) from error

    @property
    def rows_a_step(self) -> int:
        """How many rows a step has."""
        return self.run.trainer.batch_tokens // self.rows.length

    def sentence(self, error: BaseException) -> str:
        """Return what was needed when `error` came, what is there, what helps, and from where the run can go on."""
        said = str(error).partition("\n")[0].strip().rstrip(".")
        parts = self.run.trainer.accumulate
        batch = f"{self.rows_a_step} rows of {self.rows.length} tokens in {parts} part{'s' * (parts > 1)}"
        saved = max(steps(self.checkpoints), default=0)
        way = "from which it goes on, in other parts with trainer.resume_allow=[trainer.accumulate]"
        kept = f"step {saved} is saved, {way}" if saved else "no step is saved yet"
        return f"out of memory at {batch}{said and f' ({said})'}: {self.advice()}; {kept}"

    def advice(self) -> str:
        """Return the number needed, the one that is there, and the settings with which it fits by estimate."""
        sparing = "" if self.run.trainer.gradient_checkpointing else " or trainer.gradient_checkpointing=true"
        more = f"trainer.accumulate={min(2 * self.run.trainer.accumulate, self.rows_a_step)}"
        room = free(self.device) + held(self.device)
        if self.forecast is None:
            return f"{in_bytes(room)} can be had; {more}{sparing} takes less"
        tokens = math.ceil(self.rows_a_step / self.run.trainer.accumulate) * self.rows.length
        each = self.forecast.load.activations / tokens
        needed = (
            f"{in_bytes(self.forecast.peak)} predicted, {in_bytes(round(each))} a token, {in_bytes(room)} can be had"
        )
        count = self.smallest_count(self.forecast, room)
        if count is None:
            return f"{needed}; not even one row at a time fits by estimate, a smaller context_length{sparing} does"
        return f"{needed}; trainer.accumulate={count} fits by estimate{sparing and f',{sparing} takes less'}"

    def smallest_count(self, forecast: Forecast, room: int) -> int | None:
        """Return the fewest parts of a step, more than now, at which `forecast` fits into `room`; None if none do."""
        now = self.run.trainer.accumulate
        for count in range(now + 1, self.rows_a_step + 1):
            share = math.ceil(self.rows_a_step / count) / math.ceil(self.rows_a_step / now)
            if forecast.peak - round((1 - share) * (forecast.load.activations + forecast.load.loss)) <= room:
                return count
        return None
