"""How long a step takes, summed by hand from round numbers."""

import pytest

from ctxext.parallel.settings import Parallel
from ctxext.planning.duration import duration
from ctxext.planning.outline import Outline, Step
from ctxext.planning.settings import Hardware
from ctxext.planning.traffic import Traffic

GPU = Hardware("mine", 80e9, 1000.0, 100.0, 10.0, 1.0, 4, 0.5)
NOTHING = Traffic(0, 0, 0, 0, 0)
KNOWN = Outline(((10, 2),), (((8, 10),),), (10, 2), True, 3, 1, 1, 2, multiplied=100, products=25.0)


def seconds(mesh: Parallel, sent: Traffic = NOTHING) -> tuple[float, float, float]:
    found = duration(KNOWN, Step(8, 16, 1, False, 2, mesh), sent, GPU)
    assert found.least == pytest.approx(max(found.products, found.sending) + found.update)
    assert found.most == pytest.approx(found.products + found.sending + found.update)
    return found.products, found.sending, found.update


def test_products_take_their_share_of_the_peak_and_the_update_moves_each_weight_seven_times() -> None:
    products, _, update = seconds(Parallel(shard=2))
    assert products == pytest.approx(3 * 8 * 16 / 2 * (2 * 100 + 2 * 25) / (1000 * 0.5))
    assert update == pytest.approx(7 * 4 * 100 / 2 / 100)


@pytest.mark.parametrize(
    ("mesh", "weights", "copies", "keys"),
    [
        (Parallel(shard=2, context=2), 10, 10, 10),
        (Parallel(shard=4, context=2), 1, 10, 10),
        (Parallel(data=2, shard=4), 10, 1, 10),
        (Parallel(context=8), 1, 1, 1),
    ],
)
def test_what_stays_in_a_node_goes_over_its_links_and_the_rest_over_the_network(
    mesh: Parallel, weights: float, copies: float, keys: float
) -> None:
    assert seconds(mesh, Traffic(100, 0, 0, 0, 0))[1] == pytest.approx(100 / weights)
    assert seconds(mesh, Traffic(0, 100, 0, 0, 0))[1] == pytest.approx(100 / weights)
    assert seconds(mesh, Traffic(0, 0, 100, 0, 0))[1] == pytest.approx(100 / copies)
    assert seconds(mesh, Traffic(0, 0, 0, 100, 100))[1] == pytest.approx(200 / keys)
