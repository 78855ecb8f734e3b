"""A search on an objective of plain arithmetic, which takes no time."""

from collections.abc import Callable

import pytest

from ctxext.searching.evolution import Candidate
from ctxext.searching.settings import SearchSettings

TARGET = Candidate((1.0, 1.5, 2.5, 3.0, 4.5, 6.0), 1.3)


@pytest.fixture
def start() -> Candidate:
    """Return the candidate from which the search starts."""
    return Candidate((1.0, 1.2, 2.0, 4.0, 4.0, 4.0), 1.139)


@pytest.fixture
def settings() -> SearchSettings:
    """Return settings of a short search."""
    return SearchSettings("both", 1, 1, 1, 12, 12, 6, 5, 4, 0.3, 0.01)


@pytest.fixture
def score() -> Callable[[Candidate], float]:
    """Return the squared distance of a candidate from the best one."""

    def distance(candidate: Candidate) -> float:
        apart = [(mine - its) ** 2 for mine, its in zip(candidate.factors, TARGET.factors, strict=True)]
        return sum(apart) + (candidate.attention_factor - TARGET.attention_factor) ** 2

    return distance
