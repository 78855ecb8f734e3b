import torch

from ctxext.kernels.gather import visible_keys
from ctxext.mask.document import IntraDocument
from ctxext.places import Places


def test_a_token_sees_itself_and_all_before_it_in_its_document_and_nothing_of_another(seen):
    assert seen(IntraDocument(), 2, 1, 2)[0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 1, 1],
    ]


def test_documents_are_told_apart_by_their_numbers_and_not_by_positions_that_restart():
    positions = torch.tensor([[0, 1, 2, 3, 4]])
    places = Places.of(positions, torch.tensor([[0, 0, 1, 1, 1]]))
    assert visible_keys(places, places, IntraDocument().views()).tolist() == [[[1, 2, 1, 2, 3]]]
    alone = Places.of(torch.tensor([[0, 1, 0, 1, 2]]))
    assert visible_keys(alone, alone, IntraDocument().views()).tolist() == [[[1, 2, 3, 4, 5]]]


def test_it_is_the_mask_of_the_untouched_model():
    assert IntraDocument().base() == IntraDocument()
    assert IntraDocument().keeps_documents_apart()
