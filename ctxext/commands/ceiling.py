"""What is said when memory runs out in training: what was needed, what is there, and the setting that helps."""

from __future__ import annotations

import math
from pathlib import Path
from traceback import clear_frames
from types import TracebackType
from typing import Any, Self

import torch

from ctxext.commands.footprint import SMALLER, first_batch, saved_in
from ctxext.config.schema import Run
from ctxext.data.rows import Rows
from ctxext.model.resident import free, held, is_out_of_memory
from ctxext.parallel.mesh import here
from ctxext.reporting.proof import in_bytes
from ctxext.training.fitting import remedy, spared
from ctxext.training.memory import Forecast


class Ceiling:
    """Says in one sentence that memory ran out in the training of `network` by `run` on `rows` while the block runs.

    `forecast` is what was predicted, once it is.
    """

    def __init__(self, network: Any, run: Run, rows: Rows, checkpoints: Path) -> None:
        """Take note of what the sentence names."""
        self.network, self.run, self.rows, self.checkpoints = network, run, rows, checkpoints
        self.device: torch.device = network.unembedding[0].device
        self.forecast: Forecast | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and is_out_of_memory(error):
            clear_frames(trace)  # which hold what the step had made, where room is needed to see what would fit
            raise MemoryError(self.sentence(error)) from error

    @property
    def rows_a_step(self) -> int:
        """How many rows a step has."""
        return self.run.trainer.batch_tokens // self.rows.length

    def remedy(self, room: int) -> str:
        """Return the settings with which training fits into `room` beside what was held before, or nothing."""
        return remedy(self.network, first_batch(self.network, self.run, self.rows), self.run.trainer, room)

    def sentence(self, error: BaseException) -> str:
        """Return what was needed when `error` came, what is there, what helps, and from where the run can go on."""
        said = str(error).partition("\n")[0].strip().rstrip(".")
        parts = self.run.trainer.accumulate
        batch = f"{self.rows_a_step} rows of {self.rows.length} tokens in {parts} part{'s' * (parts > 1)}"
        kept = saved_in(self.checkpoints) or "no step is saved yet"
        return f"out of memory at {batch}{said and f' ({said})'}: {self.advice()}; {kept}"

    def advice(self) -> str:
        """Return the number needed, the one that is there, and the settings with which it fits by estimate."""
        room = free(self.device) + held(self.device)
        there = f"{in_bytes(room)} can be had"
        less = next((words for words, _ in spared(self.run.trainer, self.rows_a_step)), SMALLER)
        if self.forecast is None or here().settings.shard > 1:  # then it knew nothing of parted weights
            return f"{there}; {less} takes less"
        tokens = math.ceil(self.rows_a_step / self.run.trainer.accumulate) * self.rows.length
        each = self.forecast.load.activations / tokens
        needed = f"{in_bytes(self.forecast.peak)} predicted, {in_bytes(round(each))} a token, {there}"
        try:
            settings = self.remedy(room - self.forecast.held)
        except Exception as again:  # what is left may be too little even to see what a block takes
            if not is_out_of_memory(again):
                raise
            return f"{needed}; {less} takes less"
        return f"{needed}; {f'{settings} fits by estimate' if settings else f'{SMALLER} takes less'}"
