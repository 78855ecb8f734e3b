"""Lines that show how far a long piece of work is: rewritten in place on a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from ctxext.reporting.measured import Row

Item = TypeVar("Item")

QUIET_SECONDS = 10.0
WARM_STEPS = 10
SHOWN = 5
"""Of steps that are named one by one, at most so many."""
WAITED = 0.01
"""The share of the time of training above which it is told that data were waited for."""


def watched(iterable: Iterable[Item], label: str, total: int | None) -> Iterator[Item]:
    """Yield from `iterable` under a bar with `label` and `total` items (None when unknown); in a log, plain lines."""
    if sys.stderr.isatty():
        yield from tqdm(iterable, desc=label, total=total, file=sys.stderr, dynamic_ncols=True)
        return
    started = shown = time.monotonic()
    count, goal = 0, f"/{total}" if total else ""
    for count, item in enumerate(iterable, start=1):
        yield item
        if time.monotonic() - shown >= QUIET_SECONDS:
            shown = time.monotonic()
            tqdm.write(f"{label} {count}{goal}", file=sys.stderr)
    tqdm.write(f"{label} {count}{goal} in {clock(time.monotonic() - started)}", file=sys.stderr)


def clock(seconds: float) -> str:
    """Return `seconds` as minutes and seconds."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02d}"


def in_time(seconds: float) -> str:
    """Return `seconds` in the unit that suits them."""
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 100 else f"{clock(seconds)} min"


class StepLine:
    """One line on the training: rewritten in place on a terminal, printed at most every ten seconds in a log."""

    def __init__(self, first: int, last: int) -> None:
        """Count the steps from `first` to `last`, both included."""
        self.first, self.last = first, last
        self.started = self.shown = time.monotonic()
        self.warm: tuple[int, float] | None = None
        self.terminal = sys.stderr.isatty()
        form = "train {n_fmt}/{total_fmt} {percentage:3.0f}% |{bar:16}|{postfix}"
        self.bar = tqdm(
            total=last,
            initial=first - 1,
            bar_format=form,
            file=sys.stderr,
            disable=not self.terminal,
            dynamic_ncols=True,
        )

    def show(self, row: Row) -> None:
        """Show the step, loss, learning rate, gradient norm and speed in `row`, and how long the rest will take."""
        now, step = time.monotonic(), int(row["step"])
        text = " ".join([*shown_numbers(row), self.remaining(step, now)])
        if self.terminal:
            self.bar.n = step
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.refresh()
        elif step == self.last or now - self.shown >= QUIET_SECONDS:
            self.shown = now
            tqdm.write(f"train {step}/{self.last} {step / self.last:4.0%}  {text}", file=sys.stderr)

    def remaining(self, step: int, now: float) -> str:
        """Return the time that is left, from the speed after the first ten steps, which are slower than the others."""
        if self.warm is None:
            if step - self.first + 1 >= WARM_STEPS:
                self.warm = (step, now)
            return "eta -:--"
        begun, since = self.warm
        seconds = (now - since) / max(1, step - begun) * (self.last - step)
        return f"eta {clock(seconds)}"

    def end(self) -> None:
        """Leave the line as it stands."""
        self.bar.close()


class MeasureLine:
    """One line on a measurement: rewritten in place on a terminal; in a log, one when a part ends, and in between."""

    def __init__(self, label: str) -> None:
        """Begin each line with `label`."""
        self.label, self.what, self.counted = label, "", ""
        self.begun = self.shown = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.bar = tqdm(bar_format="{desc}", file=sys.stderr, disable=not self.terminal, dynamic_ncols=True)

    def begin(self, what: str) -> None:
        """Measure `what` from now on."""
        self.what, self.counted = what, ""
        self.begun = self.shown = time.monotonic()

    def count(self, done: int, total: int) -> None:
        """Take note that `done` of `total` rows are scored."""
        self.counted = f"{done}/{total}"

    def tick(self) -> None:
        """Show how far it is, in a log at most every ten seconds."""
        if self.terminal or time.monotonic() - self.shown >= QUIET_SECONDS:
            self.show(self.counted)

    def end(self, found: str) -> None:
        """Show what was `found`."""
        self.show(found)

    def show(self, words: str) -> None:
        """Show `words` on what is measured, and how long that took."""
        self.shown = time.monotonic()
        parts = (self.label, self.what, words, clock(self.shown - self.begun))
        text = "  ".join(part for part in parts if part)
        if self.terminal:
            self.bar.set_description_str(text)
        else:
            tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        """Leave the line as it stands."""
        self.bar.close()


def shown_numbers(row: Row) -> list[str]:
    """Return the numbers of a step in few characters, without those that `row` lacks."""
    forms = {"loss": "loss {:.3f}", "accuracy": "acc {:.3f}", "learning_rate": "lr {:.1e}", "grad_norm": "grad {:.2f}"}
    shown = [form.format(row[key]) for key, form in forms.items() if key in row]
    if row.get("seconds"):
        shown.append(f"{row['tokens'] / row['seconds'] / 1000:.1f}k tok/s")
    return shown


def left_out(rows: Iterable[Row]) -> str:
    """Return how many of the steps in `rows` changed nothing, in words, or nothing if all did."""
    skipped = [row["step"] for row in rows if "skipped" in row]
    some = ", ".join(map(str, skipped[:SHOWN])) + ", ..." * (len(skipped) > SHOWN)
    return f"{len(skipped)} steps changed nothing, their loss or gradient was not finite: {some}" if skipped else ""


def waiting(rows: Iterable[Row]) -> str:
    """Return for what share of the steps in `rows` data were waited for, in words, or nothing if it is small."""
    timed = [row for row in rows if "waited" in row]
    waited, seconds = (sum(row[key] for row in timed) for key in ("waited", "seconds"))
    return f"{waited / seconds:.1%} of the steps' time was spent waiting for data" if waited > WAITED * seconds else ""
