import pytest
import torch

from ctxext.attention.retention import Retention, log_decays
from ctxext.kernels import linear as kernel
from ctxext.mask.document import IntraDocument
from ctxext.places import Places
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope
from ctxext.position.xpos import XPos
from ctxext.refusal import Refusal
from ctxext.seams import Heads, Sizes

ROPE, XPOS, SETTINGS = Rope(10000.0), XPos(10000.0, 8.0), Retention(1e-5)


def oracle(layer, x, places, turned):
    """Return GroupNorm((q k^T * D) v) * swish(W x) of dense matrices, as a function of q, k, v."""

    def meant(q, k, v):
        gap = places.ordinals[:, None, :, None] - places.ordinals[:, None, None, :]
        together = (places.documents[:, None, :, None] == places.documents[:, None, None, :]) & (gap >= 0)
        gamma = torch.tensor([1 - 1 / 32, 1 - 1 / 64, 1 - 1 / 128, 1 - 1 / 256]).double()[None, :, None, None]
        scores = turned(q, places.positions) @ turned(k, places.positions).transpose(-1, -2) / 8**0.5
        retained = (scores * gamma ** gap.clamp(min=0) * together) @ v
        centred = retained - retained.mean(dim=-1, keepdim=True)
        normal = centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
        gate = x.double() @ layer.g_proj.weight.double().T
        return normal * (gate / (1 + (-gate).exp())).unflatten(-1, (4, 8)).transpose(1, 2)

    return meant


@pytest.mark.parametrize("rows", [((40,), (40,)), ((1, 30, 9), (23, 2, 15))])
@pytest.mark.parametrize("chunk", [8, 128])
def test_products_decay_with_the_distance_and_are_normed_and_gated(
    chunk, rows, offered, packed, grown, turned, compare, monkeypatch
):
    monkeypatch.setattr(kernel, "CHUNK", chunk)
    heads, places, layer = offered(2, 40), packed(*rows), grown(SETTINGS, 1)
    # Values far from 0, since a norm of hardly anything would magnify what is rounded.
    heads.v.data.add_(torch.arange(8) * 3.0)
    found = layer.gather(heads, places, places, ROPE, IntraDocument())
    compare(found, heads, oracle(layer, heads.x, places, turned))


def test_the_first_four_decays_are_those_of_the_paper():
    assert log_decays(4).exp().tolist() == pytest.approx([0.96875, 0.984375, 0.9921875, 0.99609375], rel=1e-12)
    assert (log_decays(32) < 0).all()


def test_distances_are_counted_in_tokens_where_positions_skip(offered, grown):
    heads, layer = offered(1, 20), grown(SETTINGS, 0)
    near, far = (Places.of(torch.arange(20)[None] * step) for step in (1, 5))
    found = [layer.gather(heads, places, places, Nope(), IntraDocument()) for places in (near, far)]
    assert torch.equal(*found)
    found = [layer.gather(heads, places, places, ROPE, IntraDocument()) for places in (near, far)]
    assert not torch.allclose(*found)


def test_keys_are_turned_as_keys(offered, grown):
    # xPos shrinks keys where it stretches queries: turned alike, labels could not shift.
    heads, attention = offered(1, 20), grown(SETTINGS, 0)
    here, there = (Places.of(torch.arange(20)[None] + start) for start in (0, 50))
    found = [attention.gather(heads, places, places, XPOS, IntraDocument()) for places in (here, there)]
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("start", [17, 39])
def test_queries_after_a_cache_gather_what_the_whole_row_gathers(start, offered, grown, last):
    heads, places, layer = offered(1, 40), Places.of(torch.arange(40)[None]), grown(SETTINGS, 0)
    whole = layer.gather(heads, places, places, ROPE, IntraDocument())
    tail = layer.gather(last(heads, start), places.part(start, 40), places, ROPE, IntraDocument())
    torch.testing.assert_close(tail, whole[:, :, start:], rtol=1e-3, atol=1e-4)


def test_under_autocast_sums_and_norm_keep_single_precision(offered, grown):
    rough, places, layer = offered(1, 400, torch.bfloat16), Places.of(torch.arange(400)[None]), grown(SETTINGS, 0)
    layer.g_proj.weight.data.fill_(1.0)
    x = torch.ones(1, 400, 12)  # every gate is 12
    heads = Heads(rough.q, rough.k, rough.v, (), x, rough.project)
    same = Heads(rough.q.float(), rough.k.float(), rough.v.float(), (), x, rough.project)
    exact = layer.gather(same, places, places, Nope(), IntraDocument())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer.gather(heads, places, places, Nope(), IntraDocument())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, rtol=2**-8, atol=1e-3)


def test_every_layer_has_a_gate_of_its_own_and_it_is_a_base_of_its_own():
    part = SETTINGS.grown(Sizes(12, 2, 4, 2, 8), None)
    assert {name: tuple(value.shape) for name, value in part.named_parameters()} == {
        "layers.0.g_proj.weight": (32, 12),
        "layers.1.g_proj.weight": (32, 12),
    }
    assert SETTINGS.base() is SETTINGS


def test_an_epsilon_of_0_is_refused():
    with pytest.raises(Refusal, match=r"attention\.epsilon must be above 0, got 0"):
        Retention(0.0)
