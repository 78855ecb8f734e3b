import torch

from ctxext.mask.causal import Causal
from ctxext.seams import Places


def test_a_token_sees_itself_and_all_before_it():
    places = Places(torch.arange(4), torch.zeros(1, 4), None)
    (view,) = Causal().views()
    assert view.visible(places, places)[0, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert view.visible(places.part(3, 4), places)[0, 0].tolist() == [[True] * 4]


def test_every_mask_sees_a_token_itself_each_pair_once_and_never_the_future(each_mask):
    count = 50
    places = Places(torch.arange(count), torch.arange(count)[None], None)
    seen = sum(view.visible(places, places).int() for view in each_mask.views())[0, 0]
    assert seen.diagonal().tolist() == [1] * count
    assert seen.max() == 1
    assert not seen.triu(1).any()


def test_every_view_sees_only_pairs_within_its_reach(each_mask, each_attention):
    count = 50
    places = Places(torch.arange(count), torch.arange(count)[None], None)
    gap = torch.arange(count)[:, None] - torch.arange(count)
    for view in each_attention.views(each_mask):
        seen = view.visible(places, places)[0, 0]
        assert not (seen & (gap < view.reach.beyond)).any()
        if view.reach.tag == "band":
            assert not (seen & (gap >= view.reach.size)).any()
        if view.reach.tag == "head":
            assert not seen[:, view.reach.size :].any()
