"""The program in a process of its own, with a fault planted in it; run by path, with the order as its argument.

The order says which `lines` are typed, where the `output` goes, and which of FAULTS is planted `at` which step or call.
"""

import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ctxext import cli
from ctxext.commands import extension
from ctxext.data import feed
from ctxext.reporting.journal import Journal
from ctxext.training import checkpoint, loop

CRASHED = 9
ENDED = "ended with "
"""What the status of each of several lines is said after."""


def count(step: int, act: Callable[[], None]) -> None:
    """Call `act` after the row of `step` was logged."""
    log = Journal.log_step

    def logged(journal: Journal, row: dict[str, Any]) -> None:
        log(journal, row)
        if row["step"] == step and "bases" not in str(journal.folder):
            act()

    Journal.log_step = logged  # type: ignore[method-assign]


def terminate_in_the_base(step: int) -> None:
    """Ask for the end in `step` of the base's training, before the run goes on from what it saved."""
    log = Journal.log_step

    def logged(journal: Journal, row: dict[str, Any]) -> None:
        log(journal, row)
        if row["step"] == step and "bases" in str(journal.folder):
            signal.raise_signal(signal.SIGTERM)

    Journal.log_step = logged  # type: ignore[method-assign]


def terminate_at(step: int) -> None:
    """Ask for the end in `step`."""
    count(step, lambda: signal.raise_signal(signal.SIGTERM))


def in_the_loss(step: int, change: Callable[[torch.Tensor], torch.Tensor], last: int = 0) -> None:
    """Let `change` the loss of `step`, or of all up to `last`, before its gradient is taken."""
    fused, update = loop.fused_loss, loop.update
    now = [0]

    def updated(model: Any, course: Any, optimiser: Any, number: int, feed: Any) -> Any:
        now[0] = number
        return update(model, course, optimiser, number, feed)

    def lost(*arguments: Any) -> torch.Tensor:
        loss = fused(*arguments)
        return change(loss) if step <= now[0] <= max(last, step) else loss

    loop.update, loop.fused_loss = updated, lost


class Poisoned(torch.autograd.Function):
    """What it is given, with a gradient that is infinite."""

    @staticmethod
    def forward(context: Any, loss: torch.Tensor) -> torch.Tensor:
        return loss.clone()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * float("inf")


def without_memory(step: int, error: Exception) -> None:
    """Let memory run out in `step`."""

    def fail(loss: torch.Tensor) -> torch.Tensor:
        raise error

    in_the_loss(step, fail)


def little_memory(spare: int) -> None:
    """Let the process map `spare` more bytes than it does before the first step, and no more."""
    forecast_of = extension.forecast_of

    def limited(*arguments: Any) -> Any:
        forecast = forecast_of(*arguments)
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + spare, resource.RLIM_INFINITY))
        return forecast

    extension.forecast_of = limited


def small_files(limit: int) -> None:
    """Let no file grow above `limit` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


class Calls:
    """The calls that change the disk, counted; the process ends without a word at one of them."""

    def __init__(self, last: int) -> None:
        self.count, self.last = 0, last

    def next(self) -> None:
        self.count += 1
        if self.count == self.last:
            os._exit(CRASHED)

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function`, counted before it is called."""

        def called(*arguments: Any, **named: Any) -> Any:
            self.next()
            return function(*arguments, **named)

        return called

    def written(self, function: Callable[..., Any], place: int) -> Callable[..., Any]:
        """Return `function`, which writes the path at `place` of its arguments, counted before and halfway."""

        def called(*arguments: Any, **named: Any) -> Any:
            self.next()
            found = function(*arguments, **named)
            if self.count + 1 == self.last:
                os.truncate(arguments[place], Path(arguments[place]).stat().st_size // 2)
            self.next()
            return found

        return called


def crash_at(call: int) -> None:
    """End without a word at the `call`th write, fsync, rename, removal or new folder; a write counts twice."""
    calls = Calls(call)
    for name in ("fsync", "rename", "replace", "unlink", "rmdir", "mkdir"):
        setattr(os, name, calls.counted(getattr(os, name)))
    checkpoint.save_file = calls.written(checkpoint.save_file, 1)
    Path.write_text = calls.written(Path.write_text, 0)  # type: ignore[method-assign]


def save_again(folder: Path) -> None:
    """Save step 3 beside steps 1 and 2 of `folder`, of which two are kept."""
    checkpoint.save(folder, 3, *network(3), {"tokens": 3}, keep=2)


def network(seed: int) -> tuple[torch.nn.Module, torch.optim.AdamW]:
    """Return a network and its optimiser that depend on `seed` alone."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 4))
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.ones(2, 8)).square().sum().backward()
    optimiser.step()
    return model, optimiser


def forget(folder: Path) -> None:
    """Cut the metrics of `folder` back to its third step."""
    with Journal(folder, "a") as journal:
        journal.truncate(3)


FAULTS: dict[str, Callable[[int], None]] = {
    "terminate": terminate_at,
    "terminate in the base": terminate_in_the_base,
    "nan": lambda step: in_the_loss(step, lambda loss: loss * float("nan")),
    "nans": lambda step: in_the_loss(step, lambda loss: loss * float("nan"), last=99),
    "gradient": lambda step: in_the_loss(step, Poisoned.apply),
    "spike": lambda step: in_the_loss(step, lambda loss: loss * 1e9),
    "memory": lambda step: without_memory(step, MemoryError()),
    "cuda": lambda step: without_memory(step, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")),
    "little memory": little_memory,
    "small files": small_files,
    "crash": crash_at,
    "threads": torch.set_num_threads,
    "ahead": lambda batches: setattr(feed, "AHEAD", batches),
}


def ended_in_fork(act: Callable[[Path], None], folder: Path, call: int) -> int:
    """Return the exit status of a fork of this process that does `act` in `folder` and crashes at its `call`th call."""
    process = os.fork()
    if process == 0:
        try:
            crash_at(call)
            act(folder)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main(output: str, faults: dict[str, int], lines: list[list[str]]) -> int:
    """Plant `faults`, then type the `lines` one after the other; return the status of the last."""
    descriptor = os.open(output, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    for name, number in faults.items():
        FAULTS[name](number)
    status = 0
    for words in lines:
        sys.argv = ["ctxext", *words]
        status = cli.main()
        if len(lines) > 1:
            sys.stdout.write(f"{ENDED}{status}\n")
            sys.stdout.flush()
    return status


if __name__ == "__main__":
    raise SystemExit(main(**json.loads(sys.argv[1])))
