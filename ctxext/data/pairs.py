"""Pairs of input and target as texts, kept beside their tokens for what reads answers and not likelihoods."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ctxext.data.documents import Document


@dataclass(frozen=True)
class Pair:
    """An input as the model reads it (`source`), the right answers to it, the first trained on, and its `group`.

    `body` is the input alone, without the prompt around it.

    In the corpus a newline stands between the source and the target.
    """

    name: str
    source: str
    targets: tuple[str, ...]
    group: str
    body: str

    @property
    def line(self) -> str:
        """The pair as a line of JSON."""
        return json.dumps(asdict(self)) + "\n"


def pair_of(document: Document) -> Pair:
    """Return the pair that `document` is."""
    return Pair(
        document.name,
        document.text,
        (document.target, *document.others),
        document.group,
        document.body or document.text,
    )


def load_pairs(path: Path) -> list[Pair]:
    """Return the pairs whose lines are in the file at `path`."""
    with path.open(encoding="utf-8") as file:
        rows = map(json.loads, file)
        return [Pair(row["name"], row["source"], tuple(row["targets"]), row["group"], row["body"]) for row in rows]
