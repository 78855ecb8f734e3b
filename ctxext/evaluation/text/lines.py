"""What a reader scores in each document at a length, kept in the ledger, from which all that looks at it is made."""

from __future__ import annotations

from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.reader import Reader, TruncatedReader
from ctxext.evaluation.text.language import Line, position_edges, score_windows


def edges_at(reader: Reader, ground: Ground, length: int) -> list[int]:
    """Return the edges of the buckets of positions at `length`: only one pass over the longest windows has any."""
    is_whole = length == ground.settings.lengths[-1] and not isinstance(reader, TruncatedReader)
    return position_edges(ground.trained_length, length) if is_whole else []


def lines_at(reader: Reader, ground: Ground, ledger: Ledger, length: int) -> list[Line]:
    """Return what `reader` scores in each window of `ground` at `length`; what `ledger` knows isn't scored again."""
    windows, scored, edges = ground.windows, ground.settings.scored_tokens, edges_at(reader, ground, length)
    sight = reader.sight(length, scored)  # it reads the same tokens, however long the window

    def score(run: range) -> list[Line]:
        return score_windows(reader, windows, run, sight, scored, edges)

    way = f"last {reader.trained_length} {reader.stride}" if isinstance(reader, TruncatedReader) else "all"
    kind = "whole" if edges else "text"
    keys = [f"{kind} {way} {ground.text_digest} {sight} {scored} {index}" for index in range(len(windows.names))]
    return ledger.through(keys, score, reader.rows(sight, scored))
