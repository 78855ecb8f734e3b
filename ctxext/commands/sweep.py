"""How jobs end: a failure is kept in its run's folder, and the sweep ends with a table of all jobs."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from ctxext.commands.columns import aligned
from ctxext.commands.disk import full_disk
from ctxext.refusal import Refusal

FAILURE, CONFIG = "failure.json", "config.yaml"
MEASURING = ("train", "eval")


@dataclass(frozen=True)
class Outcome:
    """How a job ended: `status` is done, refused, failed or interrupted, and `sentence` says why."""

    number: int
    name: str
    context_length: int
    folder: Path
    status: str
    sentence: str = ""

    def record(self) -> None:
        """Write a job that isn't done into its folder, or take away what an earlier try left there.

        On a full disk nothing is written.
        """
        file = self.folder / FAILURE
        if self.status == "done":
            file.unlink(missing_ok=True)
            return
        said = asdict(self) | {"folder": str(self.folder)}
        with suppress(OSError):
            file.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def verdict(error: Exception, folder: Path) -> tuple[str, str]:
    """Return the status and the one sentence of a job in `folder` that ended with `error`."""
    if isinstance(error, Refusal):
        return "refused", " ".join(str(error).split())
    if sentence := full_disk(error, folder):
        return "failed", sentence
    said = str(error) or ("out of memory" if isinstance(error, MemoryError) else "without a reason")
    return "failed", " ".join(f"{type(error).__name__}: {said}".split())


def ended_in(sweep: Path, command: str) -> Iterator[Outcome]:
    """Yield how each job of `command` whose folder is in `sweep` ended, as the folder says.

    One that measures is done once its results are there; of others nothing but a failure is kept.
    """
    for folder in sweep.iterdir() if sweep.is_dir() else ():
        number = re.match(r"\d+", folder.name)
        if number is None or not folder.is_dir():
            continue
        with suppress(OSError, ValueError, KeyError, TypeError):
            if (folder / FAILURE).is_file():
                said = json.loads((folder / FAILURE).read_text(encoding="utf-8"))
                yield Outcome(**(said | {"number": int(number[0]), "folder": folder}))
            elif (folder / CONFIG).is_file():
                plain = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
                done = command not in MEASURING or (folder / "results.json").is_file()
                status = ("done", "") if done else ("unfinished", "it was killed; the same command line goes on")
                yield Outcome(int(number[0]), plain["name"], plain["context_length"], folder, *status)


def exit_status(outcomes: Sequence[Outcome], is_sweep: bool) -> int:
    """Return the exit status of the jobs: 0 all done, 2 the only one was refused, 1 otherwise."""
    ends = {outcome.status for outcome in outcomes}
    if ends <= {"done"}:
        return 0
    return 2 if ends == {"refused"} and not is_sweep else 1


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a line for each job, with the numbers at its target length where it measured them."""
    rows = []
    for outcome in outcomes:
        nll, passkey = headline(outcome.folder)
        said = f"{outcome.status}: {outcome.sentence}" if outcome.sentence else outcome.status
        rows.append((str(outcome.number), outcome.name, str(outcome.context_length), nll, passkey, said))
    return aligned(("job", "name", "context_length", "nll", "passkey", "status"), rows)


def headline(folder: Path) -> tuple[str, str]:
    """Return nll and passkey accuracy at the target length, each empty if not measured.

    They are those of the extended model; of the untrained one, or of the base, where there is no other.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        target = results["lengths"]["target"]
        nlls = [row["nll"] for row in at_target(results["by_length"], target)]
        passkeys = [row for row in at_target(results["tasks"], target) if row["task"] == "passkey"]
        return mean([(nll, 1) for nll in nlls]), mean([(row["value"], row["n"]) for row in passkeys])
    return "", ""


def at_target(rows: list[dict[str, Any]], target: int) -> list[dict[str, Any]]:
    """Return the `rows` at length `target` of the subject that stands for the job."""
    there = [row for row in rows if row["length"] == target]
    known = {row["subject"] for row in there}
    subject = next((name for name in ("extended", "zero_shot", "base") if name in known), "")
    return [row for row in there if row["subject"] == subject]


def mean(counted: list[tuple[float, int]]) -> str:
    """Return the mean of the (value, count) pairs `counted` in three decimals, or nothing if there are none."""
    total = sum(count for _, count in counted)
    return f"{sum(value * count for value, count in counted) / total:.3f}" if total else ""
