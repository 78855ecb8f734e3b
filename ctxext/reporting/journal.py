"""A run's journal: the one module that prints, writes `metrics.jsonl` and feeds TensorBoard."""

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from rich.console import RenderableType
from tqdm import tqdm

from ctxext.refusal import Refusal
from ctxext.reporting import plots, table
from ctxext.reporting.events import PATTERN, EventFile
from ctxext.reporting.measured import Measured, Row
from ctxext.reporting.progress import MeasureLine, StepLine, watched
from ctxext.reporting.scalars import HYPERPARAMETERS, SHOWN_FIRST, TARGET_TAGS, at_target, charts, curves, step_scalars
from ctxext.reporting.verdict import verdict

Item = TypeVar("Item")
MAPS = 4
"""Pictures of a run in TensorBoard, at most; the others are in its folder."""


class Journal:
    """What a run tells: sentences and tables on the console, numbers in `metrics.jsonl` and in an event file."""

    def __init__(self, folder: Path, name: str) -> None:
        """Keep the journal of the run `name` in `folder`; no file is made before there is something to write."""
        self.folder, self.name = folder, name
        self.metrics = folder / "metrics.jsonl"
        self.events: EventFile | None = None

    def say(self, sentence: str) -> None:
        """Print `sentence` on a line of its own, past a bar that may be running."""
        tqdm.write(sentence, file=sys.stdout)
        sys.stdout.flush()

    def table(self, renderable: RenderableType) -> None:
        """Print a table."""
        table.show(renderable)

    def watch(self, iterable: Iterable[Item], label: str, total: int | None) -> Iterator[Item]:
        """Yield from `iterable` while a line with `label` counts to `total` (None when unknown)."""
        return watched(iterable, label, total)

    @contextmanager
    def steps(self, first: int, last: int) -> Iterator[StepLine]:
        """Show the steps from `first` to `last` on one line while the block runs."""
        line = StepLine(first, last)
        try:
            yield line
        finally:
            line.end()

    @contextmanager
    def measuring(self, label: str) -> Iterator[MeasureLine]:
        """Show on one line, which begins with `label`, what is measured while the block runs."""
        line = MeasureLine(label)
        try:
            yield line
        finally:
            line.close()

    def log_step(self, row: Row) -> None:
        """Write `row` as a line of `metrics.jsonl`, and its scalars at its step as train/KEY; a key with / is a tag.

        `tokens` and `seconds` are those of this step alone. A number that is not finite is left out, which is added to
        the row's `note`, if it has one. A note is said, too.
        """
        kept, notes = finite(row)
        notes += filter(None, [row.get("note")])
        if notes:
            kept["note"] = ", ".join(notes)
            self.say(f"step {row['step']}: {kept['note']}")
        self.folder.mkdir(parents=True, exist_ok=True)
        with naming(self.metrics):
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(kept, allow_nan=False) + "\n")
            self.event_file().scalars(int(row["step"]), step_scalars(kept))

    def settle(self) -> None:
        """Wait until the disk has what `metrics.jsonl` holds, and its name, which may be new, in the folder."""
        for path in (self.metrics, self.folder):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def truncate(self, step: int) -> None:
        """Forget all that was written after `step`, and every earlier evaluation, here and in TensorBoard.

        The event file is made again from `metrics.jsonl`, so that no reader meets a step twice; one that is open drops
        what it has read. What stands after the row of `step`, which was on the disk before the step was saved, is
        dropped whatever it is.
        """
        rows = self.up_to(step)
        if self.metrics.exists():
            beside = self.metrics.with_suffix(".part")
            with naming(beside), beside.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.metrics)
        self.close()
        old = list(self.folder.glob(PATTERN))
        events = self.event_file()
        events.forget()
        for row in rows:
            events.scalars(row["step"], step_scalars(row))
        events.flush()
        for path in old:
            empty(path)

    def rows(self) -> Iterator[Row]:
        """Yield the lines of `metrics.jsonl` but a last one that was cut off; refuse one that is no row of a step."""
        if self.metrics.exists():
            with self.metrics.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if line.endswith(b"\n"):
                        yield row_in(line, f"{self.metrics}:{number}")

    def up_to(self, step: int) -> list[Row]:
        """Return the rows of the steps up to `step`; what comes after that one is not read."""
        found: list[Row] = []
        for row in self.rows() if step else ():
            if row["step"] <= step:
                found.append(row)
            if row["step"] >= step:
                break
        return found

    def results(self, results: Measured, hyperparameters: Mapping[str, str | float]) -> None:
        """Write `results` to TensorBoard, once a journal: curves whose step is the length, maps, tables, run table.

        `hyperparameters` are some of HYPERPARAMETERS; the others are written as `-`.
        """
        unknown = set(hyperparameters) - set(HYPERPARAMETERS)
        assert not unknown, f"not in HYPERPARAMETERS: {sorted(unknown)}"
        events = self.event_file()
        for step, values in sorted(curves(results).items()):
            events.scalars(step, values)
        known = {"name": self.name, **hyperparameters}
        chosen = {key: known.get(key, "-") for key in HYPERPARAMETERS}
        events.scalars(results.lengths["target"], at_target(results))
        events.hyperparameters(chosen, SHOWN_FIRST, TARGET_TAGS)
        events.layout(charts(results))
        for name, figure in list(plots.depth_maps(results))[:MAPS]:
            events.picture(results.lengths["target"], f"map/{name}", plots.png(figure))
        said = "\n".join(f"- {table.escaped(sentence)}" for sentence in verdict(results))
        events.text(results.lengths["target"], "verdict", said or "Nothing was measured of a method.")
        events.text(results.lengths["target"], "results", table.markdown(results))
        events.flush()

    def event_file(self) -> EventFile:
        """Return the open event file, a new one if there is none."""
        if self.events is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.events = EventFile(self.folder)
        return self.events

    def close(self) -> None:
        """Put everything on the disk and end the event file."""
        if self.events is not None:
            self.events.close()
            self.events = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError) if error is not None else nullcontext():  # the first error is the one to tell
            self.close()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError of the block name `path`, which one of writing doesn't."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(error.filename or path)) from error


def empty(path: Path) -> None:
    """Empty the event file `path`, or remove it if it is empty: a reader never goes past an open file that vanishes."""
    if path.stat().st_size:
        os.truncate(path, 0)
    else:
        path.unlink()


def row_in(line: bytes, where: str) -> Row:
    """Return the row in `line`, which stands at `where`; refuse what is none, since a row lost stays lost."""
    try:
        row: object = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if isinstance(row, dict) and type(row.get("step")) is int:
        return row
    rule = "must be a JSON object with a step; mend the line, or delete it"
    raise Refusal(f"{where}: {rule}, got {line[:80].decode(errors='replace')!r}")


def finite(row: Row) -> tuple[Row, list[str]]:
    """Return `row` without the numbers that are not finite, and a note on each of these."""
    bad = {key for key, value in row.items() if isinstance(value, float) and not math.isfinite(value)}
    kept = {key: value for key, value in row.items() if key not in bad}
    return kept, [f"{key} was {row[key]}" for key in sorted(bad)]
