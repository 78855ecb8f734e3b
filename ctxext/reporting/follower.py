"""The journal of a process that another one speaks for: it remembers the steps, and tells nobody."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rich.console import RenderableType

from ctxext.reporting.journal import Journal
from ctxext.reporting.measured import Measured, Row
from ctxext.reporting.progress import MeasureLine, StepLine

Item = TypeVar("Item")


class Mute(StepLine):
    """A line of steps that nobody sees."""

    def __init__(self) -> None:
        """Show nothing."""

    def show(self, row: Row) -> None:
        """Show nothing of `row`."""


class Still(MeasureLine):
    """A line of measurements that nobody sees."""

    def __init__(self) -> None:
        """Show nothing."""

    def begin(self, what: str) -> None:
        """Show nothing of `what`."""

    def count(self, done: int, total: int) -> None:
        """Show nothing of `done` and `total`."""

    def tick(self) -> None:
        """Show nothing."""

    def end(self, found: str) -> None:
        """Show nothing of what was `found`."""


class Follower(Journal):
    """A journal without a console and without files; what the first process has written of earlier steps it reads."""

    def __init__(self, folder: Path, name: str) -> None:
        """Keep what is logged of the run `name`, whose first process writes into `folder`."""
        super().__init__(folder, name)
        self.kept: list[Row] = []

    def say(self, sentence: str) -> None:
        """Tell nobody of `sentence`."""

    def table(self, renderable: RenderableType) -> None:
        """Show nobody the table."""

    def watch(self, iterable: Iterable[Item], label: str, total: int | None) -> Iterator[Item]:
        """Yield from `iterable`, which nobody watches."""
        yield from iterable

    @contextmanager
    def steps(self, first: int, last: int) -> Iterator[StepLine]:
        """Provide a line that nobody sees."""
        yield Mute()

    @contextmanager
    def measuring(self, label: str) -> Iterator[MeasureLine]:
        """Provide a line that nobody sees."""
        yield Still()

    def log_step(self, row: Row) -> None:
        """Remember `row`."""
        self.kept.append(row)

    def settle(self) -> None:
        """Do nothing: there is no file."""

    def truncate(self, step: int) -> None:
        """Begin after `step`."""
        self.kept = [row for row in self.kept if row["step"] <= step]

    def rows(self) -> Iterator[Row]:
        """Yield what was logged here."""
        yield from self.kept

    def results(self, results: Measured, hyperparameters: Mapping[str, str | float]) -> None:
        """Write nothing."""
