import pytest
import torch

from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.places import Places
from ctxext.refusal import Refusal


def scored(mask: Sinks, positions: torch.Tensor) -> list[list[int | None]]:
    """Return the distance at which each pair is scored, None where it isn't seen."""
    places = Places.of(positions)
    table: list[list[int | None]] = [[None] * positions.shape[1] for _ in range(positions.shape[1])]
    for view in mask.views():
        distance = view.turn_queries(places)[0, :, None] - view.turn_keys(places)[0, None, :]
        for query, key in view.visible(places, places)[0, 0].nonzero().tolist():
            assert table[query][key] is None
            table[query][key] = int(distance[query, key])
    return table


def test_recent_keys_keep_their_distance_and_sinks_stand_right_before_the_window():
    assert scored(Sinks(window=2, sinks=2), torch.arange(6)[None]) == [
        [0, None, None, None, None, None],
        [1, 0, None, None, None, None],
        [2, 1, 0, None, None, None],
        [3, 2, 1, 0, None, None],
        [3, 2, None, 1, 0, None],
        [3, 2, None, None, 1, 0],
    ]


def test_no_distance_is_as_large_as_sinks_and_window_together():
    table = scored(Sinks(window=12, sinks=4), torch.arange(100)[None])
    assert max(distance for row in table for distance in row if distance is not None) == 15
    assert all(sum(distance is not None for distance in row) == 16 for row in table[15:])


def test_each_document_has_sinks_of_its_own():
    places = Places.of(torch.arange(8)[None] + 7, torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1]]))
    _, sinks = Sinks(window=1, sinks=1).views()
    assert sinks.visible(places, places)[0, 0, 7].nonzero()[:, 0].tolist() == [0, 4]


def test_it_extends_a_model_with_the_causal_mask():
    assert Sinks(3, 1).base() == IntraDocument()


@pytest.mark.parametrize(("window", "sinks", "key"), [(0, 4, "window"), (4, 0, "sinks")])
def test_an_empty_part_is_refused(window, sinks, key):
    with pytest.raises(Refusal, match=rf"mask\.{key} must be at least 1 token, got 0"):
        Sinks(window, sinks)
