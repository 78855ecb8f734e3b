"""The names of samples: every draw follows from them alone."""

import dataclasses

import pytest

from ctxext.tasks.samples import Place, Task

PLACE = Place("passkey", 0, 64, 0.5, 3)


def test_the_same_place_draws_the_same_numbers_each_time():
    assert (
        PLACE.draw.integers(1 << 60)
        == dataclasses.replace(PLACE).draw.integers(1 << 60)
        == PLACE.draw.integers(1 << 60)
    )


@pytest.mark.parametrize("change", [{"task": "copy"}, {"seed": 1}, {"length": 65}, {"depth": 0.25}, {"index": 4}])
def test_every_part_of_the_name_changes_the_draws(change):
    assert dataclasses.replace(PLACE, **change).draw.integers(1 << 60) != PLACE.draw.integers(1 << 60)


def test_a_task_has_to_say_how_its_samples_are_made():
    with pytest.raises(NotImplementedError):
        Task().sample(PLACE, None)
