"""The positions at which rows are read in training, where they are drawn.

Shapes: B rows, S tokens.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from ctxext.data.rows import Rows
from ctxext.position.sampling import AsLaid
from ctxext.proving.finding import Finding, absent

READ = 2
"""Rows that are read."""


def positions(rows: Rows, again: Rows) -> Finding:
    """Return whether `rows` draw positions as promised; `again` are the same rows, made a second time.

    They rise within each document, lie in their range, differ from row to row, and follow from the seed alone.
    """
    sampler = rows.sampler
    if isinstance(sampler, AsLaid):
        return absent("positions", "rows are read at the positions at which they are laid")
    if sampler.max_position <= rows.length:
        return absent("positions", f"below {sampler.max_position:,} {rows.length:,} tokens leave none to draw")
    batch, laid = rows.batch(0, READ), replace(rows, sampler=AsLaid()).batch(0, READ)
    documents = torch.zeros_like(batch.tokens) if batch.documents is None else batch.documents
    falls = (batch.positions.diff(dim=1) <= 0) & (documents.diff(dim=1) == 0)
    moved = batch.positions - laid.positions
    lowest, highest = int(batch.positions.min()), int(batch.positions.max())
    faults = {
        "within a document they don't rise": bool(falls.any()),
        f"they lie at {lowest:,} to {highest:,}, not below {sampler.max_position:,}": not (
            0 <= lowest <= highest < sampler.max_position
        ),
        "no row is moved": not bool(moved.any()),
        "every row is moved alike": bool((moved == moved[:1]).all()),
        "the seed doesn't give the same again": not torch.equal(batch.positions, again.batch(0, READ).positions),
    }
    for fault, is_so in faults.items():
        if is_so:
            return Finding("positions", False, None, f"in the first {READ} rows {fault}")
    words = f"in training they rise in each document, up to {highest:,} of {sampler.max_position - 1:,} in {READ} rows"
    return Finding("positions", True, None, f"{words}, another way in each, the same again from the seed")
