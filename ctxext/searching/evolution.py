"""Evolutionary search of the factors by which rotary pairs are slowed (LongRoPE, Ding et al. 2024, 2402.13753).

Candidates, scores and draws are plain numbers here; what a candidate is worth is the caller's to say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ctxext.maths.counted import generator
from ctxext.searching.settings import SearchSettings

PURPOSE = "longrope search"
ATTENTION_SPREAD = 0.1
"""The deviation of a mutation's factor on the attention factor, as a logarithm."""


@dataclass(frozen=True)
class Candidate:
    """The factor of each rotary pair, non-decreasing from the fastest pair on, and the factor on queries and keys."""

    factors: tuple[float, ...]
    attention_factor: float


@dataclass(frozen=True)
class Bounds:
    """The least and the largest value of both kinds of factors, and the `step` of the grid on which new ones lie."""

    factors: tuple[float, float]
    attention_factor: tuple[float, float]
    step: float

    @classmethod
    def of(cls, factor: float, step: float) -> Bounds:
        """Return the bounds for reaching `factor` times the trained length: twice `factor`, four times YaRN's rise."""
        return cls((1.0, 2 * factor), (1.0, 1.0 + 0.4 * math.log(factor)), step)

    def placed(self, value: float, low: float, high: float) -> float:
        """Return the point of the grid nearest to `value`, or the nearer of `low` and `high` if it lies outside."""
        return min(max(round(round(value / self.step) * self.step, 10), low), high)


Score = Callable[[Candidate], float]
"""What a candidate is worth: the lower, the better."""


@dataclass(frozen=True)
class Generation:
    """Where the search stands after an `iteration`: the best so far with its score, and the mean score of the parents.

    `candidates` is how many different ones were scored so far.
    """

    iteration: int
    best: Candidate
    score: float
    mean: float
    candidates: int


def evolve(
    starts: Sequence[Candidate], bounds: Bounds, settings: SearchSettings, seed: int, score: Score
) -> Iterator[Generation]:
    """Yield the generations of the search from `starts` on; iteration 0 is of these and their mutations.

    The draws depend on (`seed`, iteration, individual) alone and the best are never lost, so that the same scores give
    the same search. Each different candidate is scored once.
    """
    known: dict[Candidate, float] = {}
    parents: list[Candidate] = []
    for iteration in range(settings.iterations + 1):
        if iteration:
            born = list(children(parents, bounds, settings, seed, iteration))
        else:
            born = list(first(starts, bounds, settings, seed))
        for candidate in born:
            if candidate not in known:
                known[candidate] = score(candidate)
                parents.append(candidate)
        parents = sorted(parents, key=known.__getitem__)[: settings.parents]
        mean = float(np.mean([known[parent] for parent in parents]))
        yield Generation(iteration, parents[0], known[parents[0]], mean, len(known))


def first(starts: Sequence[Candidate], bounds: Bounds, settings: SearchSettings, seed: int) -> Iterator[Candidate]:
    """Yield `starts`, and mutations of them up to the size of the population."""
    yield from starts
    for individual in range(len(starts), settings.population):
        draw = generator(seed, PURPOSE, 0, individual)
        yield mutated(starts[individual % len(starts)], bounds, settings.probability, draw)


def children(
    parents: list[Candidate], bounds: Bounds, settings: SearchSettings, seed: int, iteration: int
) -> Iterator[Candidate]:
    """Yield the mutations and then the crossovers of an `iteration`, each of `parents` drawn anew."""
    for individual in range(settings.mutations + settings.crossovers):
        draw = generator(seed, PURPOSE, iteration, individual)
        if individual < settings.mutations or len(parents) < 2:
            yield mutated(parents[draw.integers(len(parents))], bounds, settings.probability, draw)
        else:
            mother, father = draw.choice(len(parents), size=2, replace=False)
            yield crossed(parents[mother], parents[father], draw)


def mutated(parent: Candidate, bounds: Bounds, probability: float, draw: Generator) -> Candidate:
    """Return `parent` with each pair's factor, at `probability`, drawn anew between those of its neighbours.

    The attention factor is multiplied at the same `probability` by a number near 1.
    """
    low, high = bounds.factors
    factors = [low, *parent.factors, high]
    for pair in range(1, len(factors) - 1):
        if draw.random() < probability:
            before, after = factors[pair - 1], factors[pair + 1]
            factors[pair] = bounds.placed(draw.uniform(before, after), before, after)
    attention_factor = parent.attention_factor
    if draw.random() < probability:
        factor = math.exp(draw.normal(0, ATTENTION_SPREAD))
        attention_factor = bounds.placed(attention_factor * factor, *bounds.attention_factor)
    return Candidate(tuple(factors[1:-1]), attention_factor)


def crossed(mother: Candidate, father: Candidate, draw: Generator) -> Candidate:
    """Return a candidate with each factor from one of both parents, put in order."""
    choices = draw.random(len(mother.factors) + 1) < 0.5
    pairs = zip(choices, mother.factors, father.factors, strict=False)
    factors = sorted(hers if is_hers else his for is_hers, hers, his in pairs)
    return Candidate(tuple(factors), (mother if choices[-1] else father).attention_factor)
