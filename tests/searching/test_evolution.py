"""The evolution: what it may draw, that it only gets better, and that only the seed decides."""

import itertools
from dataclasses import replace
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxext.maths.counted import generator
from ctxext.searching.evolution import Bounds, Candidate, Generation, Score, crossed, evolve, mutated
from ctxext.searching.settings import SearchSettings

BOUNDS = Bounds.of(4.0, 0.01)
RISING = st.lists(st.floats(1.0, 8.0), min_size=2, max_size=40).map(lambda numbers: tuple(sorted(numbers)))


def found(start: Candidate, settings: SearchSettings, score: Score, seed: int = 0) -> list[Generation]:
    return list(evolve([start], BOUNDS, settings, seed, score))


def is_legal(candidate: Candidate) -> bool:
    rising = all(before <= after for before, after in itertools.pairwise(candidate.factors))
    return rising and candidate.factors[0] >= 1 and candidate.factors[-1] <= 8


@given(RISING, st.floats(1.0, 1.5), st.integers(0, 99), st.sampled_from([0.1, 0.3, 1.0]))
def test_a_mutation_rises_and_stays_within_the_bounds(
    factors: tuple[float, ...], attention_factor: float, seed: int, probability: float
) -> None:
    child = mutated(Candidate(factors, attention_factor), BOUNDS, probability, generator(seed, "test"))
    low, high = BOUNDS.attention_factor
    assert is_legal(child)
    assert len(child.factors) == len(factors)
    assert low <= child.attention_factor <= high


@given(RISING, RISING, st.integers(0, 99))
def test_a_crossover_rises_and_takes_nothing_but_its_parents_factors(
    first: tuple[float, ...], second: tuple[float, ...], seed: int
) -> None:
    pairs = min(len(first), len(second))
    mother, father = Candidate(first[:pairs], 1.1), Candidate(second[:pairs], 1.2)
    child = crossed(mother, father, generator(seed, "test"))
    assert is_legal(child)
    assert len(child.factors) == pairs
    assert set(child.factors) <= {*mother.factors, *father.factors}
    assert child.attention_factor in (1.1, 1.2)


def test_new_factors_lie_on_the_grid(start: Candidate) -> None:
    for seed in range(20):
        child = mutated(start, Bounds.of(4.0, 0.25), 1.0, generator(seed, "test"))
        assert all(number % 0.25 == 0 or number in start.factors for number in child.factors)


def test_a_mutation_changes_factors_as_often_as_its_probability_says() -> None:
    parent = Candidate(tuple(1 + 6 * pair / 999 for pair in range(1000)), 1.1)
    finer = Bounds.of(4.0, 1e-6)
    changed = [
        sum(mine != its for mine, its in zip(parent.factors, child.factors, strict=True))
        for child in (mutated(parent, finer, 0.3, generator(seed, "test")) for seed in range(10))
    ]
    assert 2700 < sum(changed) < 3300


def test_the_bounds_follow_from_the_factor() -> None:
    assert BOUNDS.factors == (1.0, 8.0)
    assert BOUNDS.attention_factor[0] == 1.0
    assert isclose(BOUNDS.attention_factor[1], 1 + 4 * 0.1386294361, rel_tol=1e-9)


def test_the_objective_falls_and_never_rises(start: Candidate, settings: SearchSettings, score: Score) -> None:
    generations = found(start, settings, score)
    scores = [generation.score for generation in generations]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.5 * score(start)
    assert generations[-1].mean < generations[0].mean
    assert all(is_legal(generation.best) for generation in generations)
    assert all(generation.score == score(generation.best) for generation in generations)
    assert [generation.iteration for generation in generations] == list(range(13))


def test_what_is_best_from_the_start_is_kept(start: Candidate, settings: SearchSettings) -> None:
    generations = found(start, settings, lambda candidate: float(candidate != start))
    assert {generation.best for generation in generations} == {start}


def test_the_seed_alone_decides(start: Candidate, settings: SearchSettings, score: Score) -> None:
    assert found(start, settings, score) == found(start, settings, score)
    bare = replace(settings, population=1, parents=1)  # without mutations at the start
    for chosen in (settings, bare):
        assert found(start, chosen, score, seed=1)[-1].best != found(start, chosen, score)[-1].best


def test_a_longer_search_begins_like_a_shorter_one(start: Candidate, settings: SearchSettings, score: Score) -> None:
    longer = found(start, replace(settings, iterations=20), score)
    assert longer[:13] == found(start, settings, score)


def test_each_candidate_is_scored_once(settings: SearchSettings) -> None:
    asked: list[Candidate] = []

    def score(candidate: Candidate) -> float:
        asked.append(candidate)
        return sum(candidate.factors)

    few, coarse = Candidate((1.0, 4.0), 1.0), Bounds.of(4.0, 0.5)  # so that there are many repeats
    last = list(evolve([few, few], coarse, settings, 0, score))[-1]
    assert len(asked) == len(set(asked)) == last.candidates
    assert len(asked) < 12 + 12 * 9


@pytest.mark.parametrize("kind", ["mutations", "crossovers"])
def test_either_kind_of_child_will_do(kind: str, start: Candidate, settings: SearchSettings, score: Score) -> None:
    alone = replace(settings, **{"mutations": 0, "crossovers": 0, kind: 8})
    assert found(start, alone, score)[-1].score < score(start)


def test_one_parent_alone_has_mutations(start: Candidate, settings: SearchSettings, score: Score) -> None:
    alone = replace(settings, parents=1)
    assert found(start, alone, score)[-1].score < score(start)
