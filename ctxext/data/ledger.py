"""The account of the data stage: what was read, what was kept, and what was dropped for which reason."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ctxext.data.documents import Defect


@dataclass(frozen=True)
class LedgerRow:
    """An outcome (`read`, `kept: train`, `dropped: exact duplicate`, ...) with its documents, bytes and tokens.

    The rows after `read` add up to it, but for `repaired: ...`, `as text: ...` and `as tokens: ...`, which tell how
    many of those kept were so. `cleaned away` holds the bytes that cleaning took from documents that stayed.
    """

    outcome: str
    documents: int
    size: int
    tokens: int = 0


DROPPED, REPAIRED, AS_TEXT, AS_TOKENS = "dropped", "repaired", "as text", "as tokens"
Account = Mapping[str, Sequence[Defect]]
"""What became of input that wasn't clean, by one of these words."""


def rows_of(account: Account) -> list[LedgerRow]:
    """Return a row for each reason in `account`, the most frequent first; only what was dropped has a size."""
    rows = []
    for word, defects in account.items():
        documents: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        for defect in defects:
            documents[defect.reason] += 1
            sizes[defect.reason] += defect.size if word == DROPPED else 0
        rows += [LedgerRow(f"{word}: {reason}", count, sizes[reason]) for reason, count in documents.most_common()]
    return rows


def save_ledger(path: Path, rows: Sequence[LedgerRow]) -> None:
    """Write `rows` to `path` as JSON."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")


def load_ledger(path: Path) -> list[LedgerRow]:
    """Return the rows that `save_ledger` wrote to `path`."""
    return [LedgerRow(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def save_quarantine(path: Path, account: Account) -> None:
    """Write to `path` a JSON line for each of `account`: what became of it, where it was, the reason, how it begins."""
    rows = ({"outcome": word} | asdict(defect) for word, defects in account.items() for defect in defects)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
