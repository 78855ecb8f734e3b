import pytest
import torch

from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places
from ctxext.refusal import Refusal


def scored(attention: SelfExtend, mask, count: int) -> list[list[int | None]]:
    """Return the distance at which each pair is scored, None where it isn't seen."""
    places = Places.of(torch.arange(count)[None])
    table: list[list[int | None]] = [[None] * count for _ in range(count)]
    for view in attention.views(mask):
        distance = view.turn_queries(places)[0, :, None] - view.turn_keys(places)[0, None, :]
        for query, key in view.visible(places, places)[0, 0].nonzero().tolist():
            assert table[query][key] is None
            table[query][key] = int(distance[query, key])
    return table


def test_near_pairs_keep_their_distance_and_far_ones_are_grouped():
    # Row 7: keys 7 to 4 are nearer than 4; key 3 is at 7 // 2 + 4 - 4 // 2 - 3 // 2 = 4, keys 2, 1, 0 at 4, 5, 5.
    table = scored(SelfExtend(window=4, group=2), IntraDocument(), 8)
    assert table[7] == [5, 5, 4, 4, 3, 2, 1, 0]
    assert table[4] == [4, 3, 2, 1, 0, None, None, None]
    assert table[3] == [3, 2, 1, 0, None, None, None, None]


@pytest.mark.parametrize(("window", "group"), [(8, 4), (8, 7), (5, 3)])
def test_no_distance_is_new_up_to_the_reach(window, group):
    trained = 16
    # The paper's (trained - window) x group + window where the window is a multiple of the group.
    reach = (trained - window + window // group) * group
    table = scored(SelfExtend(window, group), IntraDocument(), reach + 1)
    longest = [max(distance for distance in row if distance is not None) for row in table]
    assert max(longest[:reach]) == trained - 1
    assert longest[reach] == trained
    assert all(None not in row[: query + 1] for query, row in enumerate(table))


@pytest.mark.parametrize("count", [30, 5, 1])
def test_it_attends_at_these_distances_also_through_a_cache(count, drawn_heads, gathered, dense, last_queries):
    heads, attention = drawn_heads(30), SelfExtend(window=6, group=3)
    table = [[distance or 0 for distance in row] for row in scored(attention, IntraDocument(), 30)]
    expected = dense(heads, torch.tensor(table), torch.ones(30, 30, dtype=torch.bool).tril())[:, :, -count:]
    found = gathered(attention, last_queries(heads, count))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_window_of_the_mask_is_kept():
    table = scored(SelfExtend(window=3, group=2), SlidingWindow(5), 9)
    assert [[distance is not None for distance in row] for row in table] == [
        [0 <= query - key < 5 for key in range(9)] for query in range(9)
    ]


def test_with_groups_of_1_the_views_are_the_mask_s():
    assert SelfExtend(4, 1).views(IntraDocument()) == IntraDocument().views()
    plain = SlidingWindow(5).views()
    assert SelfExtend(4, 1).views(SlidingWindow(5))[0].reach == plain[0].reach


def test_it_extends_softmax():
    assert SelfExtend(4, 2).base() == Softmax()


@pytest.mark.parametrize(("window", "group", "key"), [(0, 2, "window"), (4, 0, "group")])
def test_an_empty_window_or_group_is_refused(window, group, key):
    with pytest.raises(Refusal, match=rf"attention\.{key} must be at least 1 token, got 0"):
        SelfExtend(window, group)
