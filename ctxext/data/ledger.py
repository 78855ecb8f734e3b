"""The account of the data stage: what was read, what was kept, and what was dropped for which reason."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ctxext.data.documents import Defect


@dataclass(frozen=True)
class LedgerRow:
    """An outcome (`read`, `kept: train`, `dropped: exact duplicate`, ...) with its documents, bytes and tokens.

    The rows after `read` add up to it. `cleaned away` holds the bytes that cleaning took from documents that stayed.
    """

    outcome: str
    documents: int
    size: int
    tokens: int = 0


def dropped_rows(defects: Iterable[Defect]) -> list[LedgerRow]:
    """Return a row for each reason among `defects`, the most frequent first."""
    documents: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for defect in defects:
        documents[defect.reason] += 1
        sizes[defect.reason] += defect.size
    return [LedgerRow(f"dropped: {reason}", count, sizes[reason]) for reason, count in documents.most_common()]


def save_ledger(path: Path, rows: Sequence[LedgerRow]) -> None:
    """Write `rows` to `path` as JSON."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")


def load_ledger(path: Path) -> list[LedgerRow]:
    """Return the rows that `save_ledger` wrote to `path`."""
    return [LedgerRow(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def save_quarantine(path: Path, defects: Iterable[Defect]) -> None:
    """Write to `path` a JSON line for each of `defects`: where it was, the reason, its bytes."""
    lines = (json.dumps(asdict(defect)) + "\n" for defect in defects)
    path.write_text("".join(lines), encoding="utf-8")
