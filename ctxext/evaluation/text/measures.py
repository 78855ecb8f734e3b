"""More measures of text, beside those by length and by position, each under the name that asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ctxext.evaluation.found import Found
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import Ledger, OutOfMemoryError
from ctxext.evaluation.reader import Reader
from ctxext.evaluation.results import Row
from ctxext.evaluation.shortage import AT_ONE_ROW, beyond
from ctxext.evaluation.text.longppl import gain_obstacle, long_gain, longppl, longppl_obstacle
from ctxext.evaluation.text.shift import shift, shift_obstacle
from ctxext.evaluation.text.sliding import sliding, sliding_obstacle, sliding_yarn


class Measure(NamedTuple):
    """What is found at a length, and why a reader may find nothing at any."""

    row: Callable[[Reader, Ground, Ledger, int], Row]
    obstacle: Callable[[Reader, Ground], str]


KNOWN = {
    "longppl": Measure(longppl, longppl_obstacle),
    "long_gain": Measure(long_gain, gain_obstacle),
    "sliding": Measure(sliding, sliding_obstacle),
    "sliding_yarn": Measure(sliding_yarn, sliding_obstacle),
    "shift": Measure(shift, shift_obstacle),
}
BESIDE = {"longppl": ("long_gain",)}
"""What is measured beside what is asked for."""


def measures_of(subject: str, reader: Reader, ground: Ground, ledger: Ledger) -> Found:
    """Return the rows of `language` for `subject`: each of evaluation.measures, at each length that it can read."""
    found = Found([], [])
    for asked in ground.settings.measures:
        for name in (asked, *BESIDE.get(asked, ())):
            measure = KNOWN[name]
            obstacle = ground.unscored or measure.obstacle(reader, ground)
            if obstacle:
                found.missing.append({"subject": subject, "what": name, "reason": obstacle})
                continue
            rows, unread = read(measure, reader, ground, ledger)
            found.rows.extend({"subject": subject, "measure": name} | row for row in rows)
            found.missing.extend(
                {"subject": subject, "what": name, "length": length, "reason": reason}
                for length, reason in unread.items()
            )
    return found


def read(measure: Measure, reader: Reader, ground: Ground, ledger: Ledger) -> tuple[list[Row], dict[int, str]]:
    """Return what `measure` finds at each length, and why it finds nothing at others: none beyond one out of memory."""
    rows: list[Row] = []
    unread: dict[int, str] = {}
    for length in ground.settings.lengths:
        obstacle = reader.obstacle(length) or beyond(unread)
        try:
            if not obstacle:
                rows.append({"length": length} | measure.row(reader, ground, ledger, length))
        except OutOfMemoryError:
            obstacle = AT_ONE_ROW
        if obstacle:
            unread[length] = obstacle
    return rows, unread
