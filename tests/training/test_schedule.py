"""The shape of the learning rate."""

import dataclasses
import math

import pytest

from ctxext.training.schedule import learning_rate
from ctxext.training.settings import Trainer

SETTINGS = Trainer(
    steps=100,
    batch_tokens=64,
    accumulate=1,
    learning_rate=0.5,
    final_learning_rate_share=0.1,
    warmup_steps=20,
    weight_decay=0.0,
    beta1=0.9,
    beta2=0.95,
    max_grad_norm=1.0,
    save_every=10,
    keep=2,
    resume="auto",
    precision="fp32",
    compile=False,
)


def test_it_rises_in_a_line_to_the_top_and_falls_to_the_last_share() -> None:
    rates = [learning_rate(step, SETTINGS) for step in range(1, 101)]

    assert rates[:20] == pytest.approx([0.5 * step / 20 for step in range(1, 21)])
    assert rates == sorted(rates[:20]) + sorted(rates[20:], reverse=True)
    assert max(rates) == rates[19] == 0.5
    assert rates[-1] == pytest.approx(0.05)


def test_the_fall_is_half_a_cosine() -> None:
    middle, quarter = learning_rate(60, SETTINGS), learning_rate(40, SETTINGS)

    assert middle == pytest.approx((0.5 + 0.05) / 2)
    assert quarter == pytest.approx(0.05 + 0.45 * (1 + math.sqrt(0.5)) / 2)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 10), (5, 5), (3, 0), (2, 1)])
def test_short_schedules_stay_between_nothing_and_the_top(steps: int, warmup: int) -> None:
    settings = dataclasses.replace(SETTINGS, steps=steps, warmup_steps=warmup)

    assert all(0 < learning_rate(step, settings) <= 0.5 for step in range(1, steps + 1))


def test_it_depends_on_the_step_alone() -> None:
    assert [learning_rate(step, SETTINGS) for step in (50, 3, 50)] == [
        learning_rate(step, SETTINGS) for step in (50, 3, 50)
    ]
    assert learning_rate(50, SETTINGS) != learning_rate(51, SETTINGS)
