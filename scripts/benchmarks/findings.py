"""What a part of the benchmark hands over: numbers with their spread, tables, remarks; and how sides are compared."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """The median `value` of what is measured under `key`, between `low` and `high`, the least and the largest."""

    key: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Table:
    """Numbers in full below a `title`; the first column names the row."""

    title: str
    header: list[str]
    rows: list[list[str]]


@dataclass
class Part:
    """What a part found, and what its reader must know of it."""

    findings: list[Finding] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, key: str, values: Sequence[float]) -> None:
        """Keep the median and the bounds of the repeated `values` under `key`."""
        self.findings.append(Finding(key, statistics.median(values), min(values), max(values)))

    def as_dict(self) -> dict[str, Any]:
        """Return the part as JSON can hold it."""
        return asdict(self)

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Part:
        """Return the part that `as_dict` gave."""
        findings, tables = [Finding(**row) for row in kept["findings"]], [Table(**row) for row in kept["tables"]]
        return cls(findings, tables, kept["remarks"])


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Return the ratio of each repetition of two sides that were measured in turn."""
    return [first / second for first, second in zip(over, under, strict=True)]


def exponent(lengths: Sequence[int], amounts: Sequence[float]) -> float:
    """Return the e of amount ~ length ** e, by least squares over at least three lengths."""
    assert len(lengths) >= 3, "two points have no spread"
    across = [math.log(length) for length in lengths]
    along = [math.log(amount) for amount in amounts]
    return statistics.linear_regression(across, along).slope


def exponents(times: dict[int, list[float]]) -> list[float]:
    """Return the exponent of each repetition of `times`, which holds the repetitions of each length."""
    lengths = sorted(times)
    return [exponent(lengths, row) for row in zip(*(times[length] for length in lengths), strict=True)]


def middle(values: Sequence[float], unit: float = 1e-3, digits: int = 1) -> str:
    """Return the median of `values` in units of `unit` as text, with the bounds behind it."""
    low, high = (f"{bound / unit:.{digits}f}" for bound in (min(values), max(values)))
    return f"{statistics.median(values) / unit:.{digits}f} ({low}-{high})"


def agree(what: str, largest: float, allowed: float) -> None:
    """Stop the benchmark in words if two sides differ in `what` by more than is `allowed`, or by no number at all."""
    if not largest <= allowed:
        raise SystemExit(f"benchmark: both sides must compute the same, but {what} differ by {largest:.3g}")
