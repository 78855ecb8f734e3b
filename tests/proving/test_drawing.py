"""Positions that are drawn for rows: each fault in the drawing is found."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from ctxext.data.rows import Batch
from ctxext.position.sampling import AsLaid, Pose, Positions, Randomized
from ctxext.proving.drawing import positions


@dataclass(frozen=True)
class Laid:
    """Rows of 16 tokens, the second one of two documents, whose positions `sampler` draws from `seed`."""

    sampler: object
    seed: int = 0
    length: int = 16

    def batch(self, first: int, count: int) -> Batch:
        documents = np.repeat([[0] * 16, [0] * 6 + [1] * 10], 1, axis=0)[first : first + count]
        laid = np.array([list(range(16)), [*range(6), *range(10)]])[first : first + count]
        drawn = [
            self.sampler.sample(row, apart, np.random.default_rng([self.seed, number]))  # type: ignore[attr-defined]
            for number, (row, apart) in enumerate(zip(laid, documents, strict=True))
        ]
        zeros = torch.zeros(count, 16)
        places = torch.from_numpy(np.stack(drawn))
        return Batch(zeros.long(), zeros.long(), zeros, places, torch.from_numpy(documents), [""] * count)


@dataclass(frozen=True)
class Faulty:
    """Draws by `rule`."""

    rule: Callable[[Positions, np.random.Generator], Positions]
    max_position: int = 64

    def sample(self, laid: Positions, documents: Positions, draw: np.random.Generator) -> Positions:
        return self.rule(laid, draw)


@pytest.mark.parametrize("sampler", [Pose(64), Randomized(64)])
def test_what_is_drawn_as_promised_holds(sampler):
    found = positions(Laid(sampler), Laid(sampler))
    assert (found.holds, "up to" in found.words) == (True, True)


@pytest.mark.parametrize(("sampler", "told"), [(AsLaid(), "are laid"), (Pose(16), "none to draw")])
def test_where_nothing_is_drawn_nothing_is_promised(sampler, told):
    found = positions(Laid(sampler), Laid(sampler))
    assert (found.holds, told in found.words) == (None, True)


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        (lambda laid, draw: draw.permutation(64)[:16], "don't rise"),
        (lambda laid, draw: laid + draw.integers(60, 70), "not below 64"),
        (lambda laid, draw: laid, "no row is moved"),
        (lambda laid, draw: laid + 8, "moved alike"),
    ],
)
def test_each_fault_is_named(rule, fault):
    found = positions(Laid(Faulty(rule)), Laid(Faulty(rule)))
    assert (found.holds, fault in found.words) == (False, True)


def test_what_does_not_follow_from_the_seed_is_found():
    rows = Laid(Randomized(64))
    found = positions(rows, replace(rows, seed=1))
    assert (found.holds, "same again" in found.words) == (False, True)
