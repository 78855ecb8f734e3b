"""The folders of runs, read: what each measured, how it was composed, and its scores by document and by sample."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ctxext.evaluation.comparison.lines import DOCUMENTS, PREDICTIONS, SAMPLES, check_sizes, read_lines
from ctxext.evaluation.results import Results, Row
from ctxext.refusal import Refusal, require
from ctxext.strangers import calm_yaml, content_of, object_in, text_of

LARGEST_FAILURE = 1 << 16
RESULTS, CONFIG, FAILURE = "results.json", "config.yaml", "failure.json"


@dataclass(frozen=True)
class Record:
    """The files of the run in `path`; those lists are empty, and `config`, whose files it doesn't have.

    `config` has its leaves by dotted key. `documents` are there since runs can be compared, `predictions` where an
    application was measured.
    """

    path: Path
    results: Results
    config: Mapping[str, object]
    documents: Sequence[Row]
    samples: Sequence[Row]
    predictions: Sequence[Row]


class Absent(NamedTuple):
    """A run without results, `after` so many that have some, and the `reason`."""

    path: Path
    after: int
    reason: str


def read(paths: Sequence[Path]) -> tuple[list[Record], list[Absent]]:
    """Return the runs in `paths`, each a run's folder or that of a sweep, and those that have no results, with reasons.

    Refuse a path that is neither, a run that is named twice, and runs of which none can be read.
    """
    records, absent = list[Record](), list[Absent]()
    chosen = [folder for path in paths for folder in folders(path)]
    known = [folder.resolve() for folder in chosen]
    for index, folder in enumerate(chosen):
        require(known[index] not in known[:index], f"{folder}: this run is named twice; name each run once")
        try:
            require((folder / RESULTS).is_file(), f"no {RESULTS}{failed(folder)}")
            records.append(read_run(folder))
        except Refusal as refusal:
            absent.append(Absent(folder, len(records), str(refusal)))
    sentences = [f"{one.path}: {one.reason}" for one in absent]
    require(bool(records), f"none of the runs has a {RESULTS} that can be read: {'; '.join(sentences)}")
    return records, absent


def folders(path: Path) -> list[Path]:
    """Return `path` if it is a run's folder, or the runs' folders in it, in the order of their numbers."""
    path = path.parent if path.name == RESULTS else path
    require(path.is_dir(), f"{path}: no such folder")
    if any((path / name).is_file() for name in (RESULTS, CONFIG, FAILURE)):
        return [path]
    found = [child for child in path.iterdir() if (child / RESULTS).is_file() or (child / CONFIG).is_file()]
    require(bool(found), f"{path}: neither a run, which has a {RESULTS}, nor a sweep, whose folders are runs")
    return sorted(found, key=in_order)


def in_order(folder: Path) -> tuple[int, str]:
    """Return the number of a sweep's job, which opens the name of its `folder`, and the name."""
    number = re.match(r"\d+", folder.name)
    return int(number[0]) if number else 0, folder.name


def failed(folder: Path) -> str:
    """Return what the run in `folder` left of its failure, as the end of a sentence."""
    file = folder / FAILURE
    with suppress(Refusal):  # it is no more than a hint
        said = object_in(content_of(file, LARGEST_FAILURE), file)
        status, sentence = (said.get(key) for key in ("status", "sentence"))
        if isinstance(status, str) and isinstance(sentence, str):
            return f" ({status}{': ' if sentence else ''}{sentence})"
    return ""


def read_run(folder: Path) -> Record:
    """Return the record of the run in `folder`."""
    check_sizes(folder)
    return Record(
        path=folder,
        results=Results.load(folder / RESULTS),
        config=read_config(folder / CONFIG),
        documents=list(read_lines(folder, DOCUMENTS)),
        samples=list(read_lines(folder, SAMPLES)),
        predictions=list(read_lines(folder, PREDICTIONS)),
    )


def read_config(file: Path) -> dict[str, object]:
    """Return the leaves of the configuration in `file` by dotted key, none if it isn't there."""
    if not file.is_file():
        return {}
    try:
        plain = yaml.safe_load(calm_yaml(text_of(file), file))
    except Refusal:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise Refusal(f"{file}: can't be read as YAML ({' '.join(str(error).split())})") from error
    require(isinstance(plain, dict), f"{file}: must hold keys and values, got {type(plain).__name__}")
    return dict(leaves(plain, ""))


def leaves(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    """Yield key, after `prefix`, and value of each leaf of `node`; a list is a leaf, and so is an empty mapping."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
