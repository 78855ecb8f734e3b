"""Losses that stand out."""

import math
import random

import pytest

from ctxext.training.spikes import Spikes


def losses(count: int, seed: int = 0) -> list[float]:
    draw = random.Random(seed)
    return [3.0 - 0.001 * step + draw.gauss(0, 0.05) for step in range(count)]


def test_a_loss_far_above_those_before_it_is_a_spike_and_said_with_its_numbers() -> None:
    spikes = Spikes(losses(40))

    assert spikes.note(1e9) == "a spike, the loss is 1e+09 after 2.975 on average in 40 steps"


@pytest.mark.parametrize("loss", [2.9, 3.2, 0.1, -5.0])
def test_usual_losses_and_falls_are_none(loss: float) -> None:
    assert Spikes(losses(40)).note(loss) == ""


def test_a_little_more_after_losses_that_hardly_move_is_none() -> None:
    assert Spikes([1.0] * 40).note(1.05) == ""
    assert Spikes([1.0] * 40).note(1.2) != ""


def test_the_first_steps_are_compared_with_nothing() -> None:
    spikes = Spikes([])
    assert [spikes.note(loss) for loss in [11.0, 1.0] * 8] == [""] * 16
    assert spikes.note(1e9) != ""


def test_a_noisy_run_has_none() -> None:
    spikes = Spikes([])
    assert not any(map(spikes.note, losses(2000, seed=3)))


def test_going_on_finds_the_same_ones() -> None:
    every = losses(300)
    every[150] = every[290] = 9.0
    whole = Spikes([])
    notes = [whole.note(loss) for loss in every]
    assert [number for number, note in enumerate(notes) if note] == [150, 290]
    resumed = Spikes(every[:200])
    assert [resumed.note(loss) for loss in every[200:]] == notes[200:]


def test_what_is_no_number_is_none_and_compared_with_nothing() -> None:
    spikes = Spikes(losses(40))
    assert spikes.note(math.nan) == spikes.note(math.inf) == ""
    assert "in 40 steps" in spikes.note(1e9)
