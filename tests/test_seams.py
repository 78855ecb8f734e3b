import pytest
import torch

from ctxext.seams import Attention, Mask, Places, Position, distances


def test_a_part_keeps_columns_positions_and_documents_together():
    places = Places(torch.arange(4), torch.tensor([[0, 1, 0, 1]]), torch.tensor([[0, 0, 1, 1]]))
    part = places.part(1, 3)
    assert part.columns.tolist() == [1, 2]
    assert part.positions.tolist() == [[1, 0]]
    assert part.documents.tolist() == [[0, 1]]
    assert places._replace(documents=None).part(0, 2).documents is None


def test_distances_count_columns_and_are_negative_in_the_future():
    places = Places(torch.arange(3), torch.tensor([[0, 9, 5]]), None)
    assert distances(places.part(1, 3), places).tolist() == [[[[1, 0, -1], [2, 1, 0]]]]


def test_hooks_that_no_member_overrides_change_nothing():
    heads, positions, places = (
        torch.randn(1, 2, 3, 4),
        torch.arange(3)[None],
        Places(torch.arange(3), torch.arange(3)[None], None),
    )
    position, attention = Position(), Attention()
    assert position.embed(heads[0], positions).equal(heads[0])
    assert position.rotate(heads, positions) is heads
    assert position.bias(positions, positions, 2) is None
    assert attention.scale(places, places, ()) is None
    for member in (position, attention, Mask()):
        assert member.base() is member
        assert member.layer(0, 2) is member


def test_a_mask_has_to_state_its_views():
    with pytest.raises(TypeError, match="Mask states no views"):
        Mask().views()
