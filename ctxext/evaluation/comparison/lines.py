"""The scores of a run by document, sample or prediction, read line by line: of each line only what is compared."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ctxext.evaluation.kinds import LARGEST as LARGEST_NUMBER
from ctxext.evaluation.results import Row
from ctxext.refusal import Refusal, fits, require, spelt
from ctxext.strangers import LARGEST, LARGEST_RECORD

CONTENT = "content"


class Lines(NamedTuple):
    """A file of lines: the kinds of the values that `must` and that `may` be there, by key.

    Of the values at `scored`, which tell what was scored, a digest is kept under `content`.
    """

    name: str
    must: Mapping[str, Any]
    may: Mapping[str, Any]
    scored: tuple[str, ...] = ()


DOCUMENTS = Lines(
    "documents.jsonl",
    {"subject": str, "length": int, "document": str, "nll": float, "counts": float, "sizes": float},
    {},
)
SAMPLES = Lines(
    "samples.jsonl",
    {"subject": str, "task": str, "length": int, "depth": str | float, "index": int, "seed": int},
    {"score": float, "rank": int},
    ("answer", "positions", "candidates", "metric"),
)
PREDICTIONS = Lines(
    "predictions.jsonl",
    {"subject": str, "application": str, "group": str, "length": int, "index": int, "scores": dict[str, float]},
    {"weight": float},
    ("source", "targets"),
)


def check_sizes(folder: Path) -> None:
    """Refuse the files of lines in `folder` where they have more bytes together than are read."""
    files = [folder / lines.name for lines in (DOCUMENTS, SAMPLES, PREDICTIONS)]
    total = sum(file.stat().st_size for file in files if file.is_file())
    names = ", ".join(file.name for file in files)
    require(
        total <= LARGEST_RECORD, f"{folder}: {names} must have at most {LARGEST_RECORD} bytes together, got {total}"
    )


def read_lines(folder: Path, lines: Lines) -> Iterator[Row]:
    """Yield what is kept of the `lines` in `folder`, if they are there; refuse one that isn't an object as it should.

    A line that can't be read is named by its number.
    """
    file = folder / lines.name
    if not file.is_file():
        return
    with file.open("rb") as opened:
        for number, line in enumerate(iter(lambda: opened.readline(LARGEST + 1), b""), start=1):
            where = f"{file}:{number}"
            require(len(line) <= LARGEST, f"{where}: must have at most {LARGEST} bytes, got more")
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise Refusal(f"{where}: not JSON ({error})") from error
            yield kept(row, lines, where)


def kept(row: object, lines: Lines, where: str) -> Row:
    """Return what is kept of the `row` of `lines` that stands at `where`."""
    found = row if isinstance(row, dict) else {}
    lacking = [key for key in lines.must if key not in found]
    require(not lacking, f"{where}: lacks {', '.join(map(repr, lacking))}")
    kinds = {**lines.must, **{key: kind for key, kind in lines.may.items() if key in found}}
    for key, kind in kinds.items():
        require(fits(found[key], kind), f"{where}: {key} must be {spelt(kind)}, got {found[key]!r}")
        numbers = found[key].values() if isinstance(found[key], dict) else [found[key]]
        are_sound = all(isinstance(one, str) or abs(one) <= LARGEST_NUMBER for one in numbers)  # nor is NaN
        require(are_sound, f"{where}: {key} must be a finite number, at most {LARGEST_NUMBER:g}")
    short: Row = {key: found[key] for key in kinds}
    return short | {CONTENT: digest([found.get(key) for key in lines.scored])} if lines.scored else short


def digest(values: list[Any]) -> str:
    """Return what tells `values` from others, in few bytes."""
    return hashlib.blake2b(json.dumps(values).encode(), digest_size=16).hexdigest()
