"""At which positions a training row is read: as they are laid, or drawn anew, so that a short row trains far distances.

Shapes: S tokens.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class AsLaid:
    """The positions that a row has."""

    def sample(self, positions: Positions, documents: Positions, draw: np.random.Generator) -> Positions:
        """Return `positions` [S] as they are."""
        return positions


@dataclass(frozen=True)
class Pose:
    """PoSE (Zhu et al. 2023, 2309.10400): a document is cut in two, and its second part skips up to `max_position`.

    The cut lies in the first half, as in the reference, which draws once and repeats the same skips each time round.
    Each document of a row has a cut and a skip of its own, since documents don't see each other. Positions alone are
    drawn: the tokens stay as they are laid, where the reference takes the second part from farther on in the text.
    """

    max_position: int

    def sample(self, positions: Positions, documents: Positions, draw: np.random.Generator) -> Positions:
        """Return `positions` [S] with skips drawn for each run of `documents` [S], all below `max_position`."""
        moved = positions.copy()
        for start, stop in spans(documents):
            if stop - start > 1:
                cut = start + int(draw.integers(1, (stop - start) // 2 + 1))
                moved[cut:stop] += draw.integers(self.max_position - int(positions[stop - 1]))
        return moved


@dataclass(frozen=True)
class Randomized:
    """Randomized positions (Ruoss et al. 2023, 2305.16843): drawn below `max_position` without repetition, and sorted.

    Only in training; the reference draws at test time too.
    """

    max_position: int

    def sample(self, positions: Positions, documents: Positions, draw: np.random.Generator) -> Positions:
        """Return positions [S] drawn for each run of `documents` [S], in place of `positions`."""
        parts = [
            np.sort(draw.choice(self.max_position, stop - start, replace=False)) for start, stop in spans(documents)
        ]
        return np.concatenate(parts)


Sampler = AsLaid | Pose | Randomized


def spans(documents: Positions) -> list[tuple[int, int]]:
    """Return start and stop of each run of equal `documents` [S]."""
    borders = [0, *(np.flatnonzero(np.diff(documents)) + 1).tolist(), len(documents)]
    return list(itertools.pairwise(borders))
