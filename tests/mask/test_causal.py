"""The causal mask, and what must hold for every mask in every layer and head."""

import math

import pytest
import torch
from torch import Tensor

from ctxext.attention.rerope import Rerope
from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softmax import Softmax
from ctxext.kernels import gather as kernel
from ctxext.mask.causal import Causal
from ctxext.places import Places
from ctxext.position.nope import Nope
from ctxext.seams import Mask, Sizes

SIZES = Sizes(hidden_size=24, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=8)


def in_layers(mask: Mask) -> list[Mask]:
    """Return what answers for each layer of a network of `SIZES`."""
    grown = mask.grown(SIZES, None)
    return [grown.layer(index, SIZES.num_hidden_layers) for index in range(SIZES.num_hidden_layers)]


def test_a_token_sees_itself_and_all_before_it():
    places = Places.of(torch.zeros(1, 4))
    (view,) = Causal().views()
    assert view.visible(places, places)[0, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert view.visible(places.part(3, 4), places)[0, 0].tolist() == [[True] * 4]


def test_it_alone_reads_packed_documents_as_one_text(each_mask):
    assert each_mask.keeps_documents_apart() is not isinstance(each_mask, Causal)


@pytest.mark.parametrize("lengths", [(50,), (1, 30, 19)], ids=["alone", "packed"])
def test_every_mask_sees_a_token_itself_each_pair_once_and_never_the_future(each_mask, seen, lengths):
    for mask in in_layers(each_mask):
        visible = seen(mask, *lengths)
        assert visible.shape[0] in (1, SIZES.num_attention_heads)
        assert visible.diagonal(dim1=1, dim2=2).all()
        assert not visible.triu(1).any()


def test_every_document_of_a_row_is_seen_as_if_alone(each_mask, seen):
    lengths = (7, 20, 43)
    for mask in in_layers(each_mask):
        alone = [seen(mask, length) for length in lengths]
        blocks = [torch.block_diag(*parts) for parts in zip(*alone, strict=True)]
        assert torch.equal(seen(mask, *lengths), torch.stack(blocks).bool())


def test_what_a_token_sees_is_not_changed_by_appended_tokens(each_mask, seen):
    for mask in in_layers(each_mask):
        assert torch.equal(seen(mask, 90)[:, :37, :37], seen(mask, 37))


def test_every_view_sees_only_pairs_within_its_reach(each_mask):
    count = 50
    places = Places.of(torch.arange(count)[None])
    gap = torch.arange(count)[:, None] - torch.arange(count)
    for view in (view for mask in in_layers(each_mask) for view in mask.views()):
        visible = view.visible(places, places)[0]
        assert not (visible & (gap < view.reach.beyond)).any()
        if view.reach.tag in ("band", "chunk"):
            assert not (visible & (gap >= view.reach.size)).any()
        if view.reach.tag == "head":
            assert not visible[..., view.reach.size :].any()


def test_a_reach_that_promises_to_be_whole_is(each_mask):
    for view in (view for mask in in_layers(each_mask) for view in mask.views()):
        reach = view.reach
        if reach.is_whole:
            count = min(reach.size, 50) if reach.tag in ("band", "chunk") else 50
            places = Places.of(torch.arange(count)[None])
            past = torch.ones(count, count, dtype=torch.bool).tril()
            assert reach.tag != "head"
            assert reach.beyond == 0
            assert (view.visible(places, places)[0] == past).all()


def within(reach, places: Places) -> Tensor:
    """Return bool [T, T]: the pair of a row of one document lies within `reach`."""
    at = places.ordinals[0]
    gap = at[:, None] - at
    inside = {
        "causal": gap >= 0,
        "band": gap < reach.size,
        "chunk": torch.stack([at // max(reach.size, 1) == chunk for chunk in (at // max(reach.size, 1)).tolist()]),
        "head": (at < reach.size).expand(gap.shape),
    }
    return inside[reach.tag] & (gap >= reach.beyond)


@pytest.mark.parametrize("extended", [Softmax(), SelfExtend(7, 3), Rerope(30, 0.0, 16), SelfExtend(20, 2)])
def test_a_reach_that_promises_to_be_full_holds_no_other_pair(each_mask, extended):
    places = Places.of(torch.arange(100)[None])
    for view in (view for mask in in_layers(each_mask) for view in extended.views(mask)):
        if view.reach.is_full:
            assert torch.equal(view.visible(places, places)[0, 0], within(view.reach, places))


def test_no_reach_that_bounds_a_view_is_larger_than_it_must_be(each_mask):
    count = 200
    places = Places.of(torch.arange(count)[None])
    gap = torch.arange(count)[:, None] - torch.arange(count)
    for view in (view for mask in in_layers(each_mask) for view in mask.views()):
        visible = view.visible(places, places)[0].any(dim=0)
        if view.reach.tag in ("band", "chunk") and view.reach.size > view.reach.beyond:
            assert gap[visible].max() == view.reach.size - 1
        if view.reach.tag == "head":
            assert visible[:, view.reach.size - 1].any()
        if visible.any():
            assert gap[visible].min() == view.reach.beyond


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 40, 70])
def test_the_kernel_reads_every_mask_as_its_predicate_however_long_the_text(each_mask, length):
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, heads, length, 8) for heads in (4, 2, 2))
    places = Places.of(torch.arange(length)[None])
    for mask in in_layers(each_mask):
        logits = torch.full((1, 4, length, length), -math.inf)
        products = q @ k.repeat_interleave(2, dim=1).transpose(-1, -2) / math.sqrt(8)
        for view in mask.views():
            added = 0 if view.weigh is None else view.weigh(places, places)
            logits = torch.where(view.visible(places, places), products + added, logits)
        meant = logits.softmax(dim=-1) @ v.repeat_interleave(2, dim=1)
        found = kernel.gather(q, k, v, places, places, mask.views(), Nope(), None)
        torch.testing.assert_close(found, meant, rtol=1e-4, atol=1e-5)
