import math

import pytest
import torch

from ctxext.places import Places
from ctxext.position.sinusoidal import Sinusoidal
from ctxext.refusal import Refusal


def test_sines_and_cosines_in_turn_are_added_to_embeddings_times_the_root_of_the_width():
    x = torch.randn(1, 3, 6, generator=torch.Generator().manual_seed(0))
    found = Sinusoidal(10000.0).embed(x, Places.of(torch.tensor([[0, 5, 1000]])))
    for row, position in enumerate((0, 5, 1000)):
        for index in range(6):
            angle = position * 10000.0 ** (-2 * (index // 2) / 6)
            meant = math.cos(angle) if index % 2 else math.sin(angle)
            assert found[0, row, index].item() - math.sqrt(6) * x[0, row, index].item() == pytest.approx(
                meant, abs=1e-4
            )


def test_each_row_has_positions_of_its_own():
    found = Sinusoidal(100.0).embed(torch.zeros(2, 2, 4), Places.of(torch.tensor([[0, 1], [1, 0]])))
    assert torch.equal(found[0, 0], found[1, 1])
    assert torch.equal(found[0, 1], found[1, 0])
    assert not torch.equal(found[0, 0], found[0, 1])


def test_a_theta_that_turns_nothing_is_refused():
    with pytest.raises(Refusal, match=r"position\.theta must be above 1, got 1"):
        Sinusoidal(1.0)
