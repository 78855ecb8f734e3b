"""Where tokens stand: the columns, positions and documents of rows, from which encodings and masks follow.

Shapes: B batch, S tokens, Q queries, K keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Places(NamedTuple):
    """Where tokens stand: `columns` [S] of the row, `positions` [B, S] for angles and biases, `documents` [B, S].

    Encodings read positions, masks count columns or `ordinals` [B, S], the tokens of the same document before: these
    differ where positions skip or are sampled. `lengths` [B, S] are the tokens of each token's document in the row.
    `documents`, rising, is None where each row is one document. `size` is the whole row's, also of its parts: a number
    that needs no look into what lies on a device. `memo` holds what follows from them, for the layers that ask again.
    """

    columns: Tensor
    positions: Tensor
    documents: Tensor | None
    ordinals: Tensor
    lengths: Tensor
    size: int
    memo: dict[Any, Any]

    @classmethod
    def of(cls, positions: Tensor, documents: Tensor | None = None) -> Places:
        """Return the places of whole rows of tokens at `positions` [B, S], in `documents` [B, S] if they are packed."""
        size = positions.shape[1]
        columns = torch.arange(size, device=positions.device)
        if documents is None:
            lengths = torch.full_like(positions, size, dtype=torch.int64)
            return cls(columns, positions, None, columns.expand(positions.shape), lengths, size, {})
        documents = documents.contiguous()
        first = torch.searchsorted(documents, documents)
        lengths = torch.searchsorted(documents, documents, right=True) - first
        return cls(columns, positions, documents, columns - first, lengths, size, {})

    def part(self, start: int, stop: int) -> Places:
        """Return the places of the columns from index `start` up to `stop`."""
        documents = None if self.documents is None else self.documents[:, start:stop]
        positions, ordinals, lengths = (part[:, start:stop] for part in (self.positions, self.ordinals, self.lengths))
        return Places(self.columns[start:stop], positions, documents, ordinals, lengths, self.size, {})

    def at(self, positions: Tensor) -> Places:
        """Return the same places with other `positions` [B, S]."""
        return self._replace(positions=positions, memo={})

    def kept(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what `make` returns, made once for these places under `key`."""
        if key not in self.memo:
            self.memo[key] = make()
        return self.memo[key]

    def turned(self, turn: Callable[[Places], Tensor]) -> Places:
        """Return the same places with the positions [B, S] to which `turn` moves them; themselves if it moves none."""
        return self if turn is unmoved else self.kept(turn, lambda: self.at(turn(self)))


def unmoved(places: Places) -> Tensor:
    """Return the positions of `places` as they are."""
    return places.positions


def distances(queries: Places, keys: Places) -> Tensor:
    """Return how many columns each key lies before each query [1, 1, Q, K]; negative in the future."""
    return (queries.columns[:, None] - keys.columns[None, :])[None, None]


def gaps(queries: Places, keys: Places) -> Tensor:
    """Return how many positions each key stands before each query [B, 1, Q, K]; negative in the future."""
    return queries.positions[:, None, :, None] - keys.positions[:, None, None, :]
