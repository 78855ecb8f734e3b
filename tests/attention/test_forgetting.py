import math
from dataclasses import replace

import pytest
import torch

from ctxext.attention.forgetting import Forgetting
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places, distances
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal
from ctxext.seams import Sizes

ROPE, SETTINGS = Rope(10000.0), Forgetting(64)


def with_memory(heads, layer):
    """Return `heads` with what `layer` asks to be kept of their states."""
    return replace(heads, remembered=layer.remember(heads.x))


@pytest.mark.parametrize("rows", [((40,), (40,)), ((1, 30, 9), (23, 2, 15))])
@pytest.mark.parametrize("window", [5, 40])
def test_logits_lose_what_is_forgotten_after_the_key_up_to_the_query(
    window, rows, offered, packed, grown, turned, compare
):
    places, layer = packed(*rows), grown(SETTINGS, 1)
    heads = with_memory(offered(2, 40), layer)
    gates = 1 / (1 + (-(heads.x.double() @ layer.f_proj.weight.double().T) - layer.f_proj.bias.double()).exp())
    forgotten = torch.zeros(2, 4, 40, 40, dtype=torch.float64)
    for query in range(40):
        for key in range(query):
            forgotten[:, :, query, key] = gates[:, key + 1 : query + 1].log().sum(dim=1)
    forgotten = forgotten.detach()

    def meant(q, k, v):
        together = (places.documents[:, None, :, None] == places.documents[:, None, None, :]).tril()
        together = together.triu(1 - window)
        logits = turned(q, places.positions) @ turned(k, places.positions).mT / math.sqrt(8) + forgotten
        return logits.masked_fill(~together, -math.inf).softmax(dim=-1) @ v

    compare(layer.gather(heads, places, places, ROPE, SlidingWindow(window)), heads, meant)


def test_the_key_s_own_gate_does_not_count_and_the_query_s_does(offered, grown):
    places, layer = Places.of(torch.arange(2)[None]), grown(SETTINGS, 0)
    heads = offered(1, 2)
    heads.q.data.zero_()
    heads.v.data[:, :, 0], heads.v.data[:, :, 1] = 1.0, 0.0
    for gates, weight in (((0.25, 1.0), 1 / 2), ((1.0, 0.25), 1 / 5)):  # 0.25 : 1 for the two keys of the last query
        logs = torch.tensor(gates).log().view(1, 1, 2, 1).expand(1, 4, 2, 1)
        found = layer.gather(replace(heads, remembered=(logs,)), places, places, Nope(), IntraDocument())
        assert found[0, :, 1].flatten().tolist() == pytest.approx([weight] * 32)


class Distant(IntraDocument):
    """A mask that adds 0.5 to a logit for each token of distance."""

    def views(self):
        (view,) = super().views()
        return (replace(view, weigh=lambda queries, keys: 0.5 * distances(queries, keys).float()),)


def test_what_the_mask_adds_to_the_logits_stays(offered, grown):
    places, layer, heads = Places.of(torch.arange(3)[None]), grown(SETTINGS, 0), offered(1, 3)
    heads.q.data.zero_()
    heads.v.data[:] = torch.tensor([1.0, 0.0, 0.0])[:, None]
    heads = replace(heads, remembered=(torch.full((1, 4, 3, 1), -0.25),))
    found = layer.gather(heads, places, places, Nope(), Distant())
    meant = math.exp(0.5) / (math.exp(0.5) + math.exp(0.25) + 1)  # 0.5 - 0.25 for each token of distance
    assert found[0, :, 2].flatten().tolist() == pytest.approx([meant] * 32)


def test_the_gates_learn(offered, grown):
    places, layer = Places.of(torch.arange(40)[None]), grown(SETTINGS, 0)
    heads = with_memory(offered(1, 40), layer)
    layer.gather(heads, places, places, ROPE, IntraDocument()).sin().sum().backward()
    assert layer.f_proj.weight.grad.abs().min() > 0
    assert layer.f_proj.bias.grad.abs().min() > 0


@pytest.mark.parametrize("mask", [IntraDocument(), Sinks(6, 2)], ids=["document", "sinks"])
def test_after_a_cache_it_gathers_what_it_gathers_in_the_whole_row(mask, offered, grown, last):
    places, layer = Places.of(torch.arange(40)[None]), grown(SETTINGS, 0)
    heads = with_memory(offered(1, 40), layer)
    whole = layer.gather(heads, places, places, ROPE, mask)
    tail = layer.gather(last(heads, 37), places.part(37, 40), places, ROPE, mask)
    torch.testing.assert_close(tail, whole[:, :, 37:], rtol=1e-4, atol=1e-5)


def test_a_document_forgets_the_same_whatever_stands_before_it_to_the_bit(offered, packed, grown):
    layer, heads, places = grown(SETTINGS, 0), offered(1, 40), packed((29, 11))
    found = []
    for loudness in (1.0, 50.0):
        x = torch.cat((heads.x[:, :29] * loudness, heads.x[:, 29:]), dim=1)
        remembered = layer.remember(x)
        found.append(
            layer.gather(replace(heads, remembered=remembered), places, places, ROPE, IntraDocument())[:, :, 29:]
        )
    assert torch.equal(*found)


@pytest.mark.parametrize("horizon", [1, 64.0, 1e6])
def test_at_first_a_weight_falls_to_1_over_e_over_the_horizon(horizon):
    layer = Forgetting(horizon).grown(Sizes(12, 2, 4, 2, 8), Softmax()).layer(1, 2)
    (logs,) = layer.remember(torch.randn(1, 3, 12))
    assert logs.shape == (1, 4, 3, 1)
    torch.testing.assert_close(logs, torch.full_like(logs, -1 / horizon), rtol=1e-4, atol=0)


def test_with_a_long_horizon_it_begins_near_its_base(offered):
    heads, places = offered(1, 40), Places.of(torch.arange(40)[None])
    layer = Forgetting(1e9).grown(Sizes(12, 2, 4, 2, 8), Softmax()).layer(0, 2)
    found = layer.gather(with_memory(heads, layer), places, places, ROPE, IntraDocument())
    torch.testing.assert_close(found, Softmax().gather(heads, places, places, ROPE, IntraDocument()))
    assert SETTINGS.base() == Softmax()
    assert SETTINGS.off(64) is None


def test_under_autocast_gates_and_their_sum_keep_single_precision(offered):
    # A gate of 1 - 1/10000 is 1 in bfloat16, and nothing would ever be forgotten.
    layer = Forgetting(10000).grown(Sizes(12, 2, 4, 2, 8), None).layer(0, 2)
    heads, places = offered(1, 1000, torch.bfloat16), Places.of(torch.arange(1000)[None])
    heads.q.data.zero_()
    heads.v.data.zero_()
    heads.v.data[:, :, :500] = 1.0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        heads = with_memory(heads, layer)
        found = layer.gather(heads, places, places, Nope(), IntraDocument())
    assert heads.remembered[0].dtype == torch.float32
    # Weights e^(-d / 10000): the later half of 1000 has 1 / (1 + e^(-0.05)) of them.
    torch.testing.assert_close(found[0, 0, -1].float(), torch.full((8,), 0.4875), rtol=2**-8, atol=0)


def test_every_layer_has_gates_of_its_own():
    part = SETTINGS.grown(Sizes(12, 2, 4, 2, 8), None)
    shapes = {"weight": (4, 12), "bias": (4,)}
    assert {name: tuple(value.shape) for name, value in part.named_parameters()} == {
        f"layers.{index}.f_proj.{name}": shape for index in range(2) for name, shape in shapes.items()
    }


def test_a_horizon_below_a_token_is_refused():
    with pytest.raises(Refusal, match=r"attention\.horizon must be at least 1 token, got 0\.5"):
        Forgetting(0.5)
