"""Positions drawn for a training row: rising within a document, within range, another draw for another row."""

import numpy as np
import pytest

from ctxext.maths.counted import generator
from ctxext.position.sampling import AsLaid, Pose, Randomized, spans

LENGTHS = (7, 1, 2, 22)
DOCUMENTS = np.repeat(np.arange(4), LENGTHS)
LAID = np.concatenate([np.arange(length) for length in LENGTHS])
SAMPLERS = [Pose(64), Randomized(64)]


def drawn(sampler, number: int, laid=LAID, documents=DOCUMENTS):
    return sampler.sample(laid, documents, generator(3, "positions", number))


def test_as_laid_leaves_them():
    assert drawn(AsLaid(), 0) is LAID


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_positions_rise_within_each_document_and_stay_in_range(sampler):
    for number in range(300):
        found = drawn(sampler, number)
        assert found.shape == LAID.shape
        assert found.dtype == np.int64
        for start, stop in spans(DOCUMENTS):
            assert (np.diff(found[start:stop]) > 0).all()
        assert found.min() >= 0
        assert found.max() < 64


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_both_ends_of_the_range_are_met(sampler):
    every = np.concatenate([drawn(sampler, number, np.arange(8), np.zeros(8)) for number in range(3000)])
    assert set(every) == set(range(64))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_draw_depends_on_its_number_alone_and_leaves_the_row_as_it_was(sampler):
    before = LAID.copy()
    first = [drawn(sampler, number) for number in range(20)]
    again = [drawn(sampler, number) for number in reversed(range(20))][::-1]
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({found.tobytes() for found in first}) == 20
    assert np.array_equal(LAID, before)


def test_pose_skips_once_in_the_first_half_of_each_document():
    jumps, cuts = set(), set()
    for number in range(2000):
        found = drawn(Pose(40), number, np.arange(10), np.zeros(10))
        steps = np.diff(found)
        assert found[0] == 0
        assert (steps != 1).sum() <= 1
        jumps.add(int(steps.max()) - 1)
        cuts |= set((np.flatnonzero(steps != 1) + 1).tolist())
    assert jumps == set(range(31))  # u from 0 to C - n
    assert cuts == {1, 2, 3, 4, 5}


def test_pose_gives_each_document_a_skip_of_its_own():
    ends = {tuple(drawn(Pose(64), number)[[6, 29]]) for number in range(200)}
    assert len(ends) > 150


def test_without_room_to_skip_pose_is_as_laid():
    assert all(np.array_equal(drawn(Pose(30), n, np.arange(30), np.zeros(30)), np.arange(30)) for n in range(50))


def test_randomized_positions_are_even_over_the_range():
    every = np.concatenate([drawn(Randomized(32), n, np.arange(8), np.zeros(8)) for n in range(4000)])
    counts = np.bincount(every, minlength=32)
    assert counts.min() > 0.9 * 1000
    assert counts.max() < 1.1 * 1000


def test_spans_are_the_runs_of_documents():
    assert spans(DOCUMENTS) == [(0, 7), (7, 8), (8, 10), (10, 32)]
    assert spans(np.zeros(3)) == [(0, 3)]
