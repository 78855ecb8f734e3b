"""How jobs end: a failure is kept in its run's folder, and the sweep ends with a table of all jobs."""

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from ctxext.commands.columns import aligned
from ctxext.commands.disk import full_disk
from ctxext.refusal import Refusal, require
from ctxext.strangers import calm_yaml, content_of, object_in, text_of
from ctxext.training.lock import Held, refuse_held

FAILURE, CONFIG, RESULTS = "failure.json", "config.yaml", "results.json"
SWEEP, STUDY = "multirun.yaml", "study.db"
"""What the folder of a sweep has, and that of one that tunes."""
MEASURING = ("train", "eval")
BRIEF = 240
"""The characters of what a launcher raised that are told: submitit's has the logs of the job in it."""
UNKNOWN = "it was killed, and the same command line goes on, or it measures nothing"


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


@contextmanager
def afresh(folder: Path) -> Iterator[None]:
    """Take away what an earlier try recorded in `folder`, so that a kill is not told as its end.

    A block that is refused leaves it as it was.
    """
    file = folder / FAILURE
    earlier = file.read_bytes() if file.is_file() else b""
    with suppress(OSError):
        file.unlink(missing_ok=True)
    try:
        yield
    except Refusal:
        with suppress(OSError):
            if earlier:
                file.write_bytes(earlier)
        raise


def begun_in(sweep: Path) -> dict[Path, int]:
    """Return when each job whose folder is in `sweep` last began, by the file that Hydra then writes there."""
    return {file: file.stat().st_mtime_ns for file in sweep.glob("[0-9]*/.hydra/hydra.yaml")}


def cut_off(sweep: Path, begun: int, planned: int, reason: str) -> str:
    """Return that `sweep` ended with `begun` of `planned` jobs, since what starts them raised the `reason`."""
    said = textwrap.shorten(reason, BRIEF, placeholder=" ...")
    goes_on = f"the same command line with hydra.sweep.dir={sweep} goes on"
    return f"the sweep ended early, when {begun} of {planned} jobs had begun; {goes_on} ({said})"


def is_sweep(folder: Path) -> bool:
    """Return whether `folder` is that of a sweep."""
    return any((folder / name).is_file() for name in (SWEEP, STUDY))


def ended_in(sweep: Path, command: str = "") -> Iterator[Outcome]:
    """Yield how each job of `command` whose folder is in `sweep` ended, as the folder says; it may be a stranger's.

    One that measures is done once its results are there; of others nothing but a failure is kept. Without `command` it
    isn't known whether they measure.
    """
    for folder in sweep.iterdir() if sweep.is_dir() else ():
        number = re.match(r"\d+", folder.name)
        if number is None or not folder.is_dir():
            continue
        with suppress(Refusal, KeyError, ValueError, yaml.YAMLError):
            if (folder / FAILURE).is_file():
                said = object_in(content_of(folder / FAILURE), folder / FAILURE)
                yield told(int(number[0]), said, folder, said["status"], said["sentence"])
            elif (folder / CONFIG).is_file():
                plain = yaml.safe_load(calm_yaml(text_of(folder / CONFIG), folder / CONFIG))
                yield told(int(number[0]), plain, folder, *unrecorded(folder, command))


def told(number: int, said: object, folder: Path, status: object, sentence: object) -> Outcome:
    """Return the outcome of the job `number` in `folder`, which is `said` to have a name; refuse what isn't one."""
    require(isinstance(said, dict), f"{folder}: must be told by keys and values, got {type(said).__name__}")
    assert isinstance(said, dict)
    words = [said["name"], status, sentence]
    require(all(isinstance(word, str) for word in words), f"{folder}: must be told in words, got {words}")
    length = said["context_length"]
    require(isinstance(length, int), f"{folder}: context_length must be a whole number, got {length!r}")
    name, state, reason = (" ".join(word.split()) for word in words)
    return Outcome(number, name, length, folder, state, reason)


def unrecorded(folder: Path, command: str) -> tuple[str, str]:
    """Return the status and the sentence of a job of `command` in `folder` that recorded no failure."""
    try:
        refuse_held(folder)
    except Held:
        return "running", ""
    except Refusal:  # a lock that nobody can hold
        pass
    if (folder / RESULTS).is_file() or (command and command not in MEASURING):
        return "done", ""
    return "unfinished", "it was killed; the same command line goes on" if command else UNKNOWN


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
    with suppress(Refusal, ArithmeticError, ValueError, KeyError, TypeError):
        results = object_in(content_of(folder / RESULTS), folder / RESULTS)
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
    total = sum(float(count) for _, count in counted)
    return f"{sum(float(value) * float(count) for value, count in counted) / total:.3f}" if total else ""
