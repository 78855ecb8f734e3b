import math

import pytest
import torch

from ctxext.attention.infini import Infini
from ctxext.mask.document import IntraDocument
from ctxext.places import Places
from ctxext.position.alibi import Alibi
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal
from ctxext.seams import Heads, Sizes

ROPE = Rope(10000.0)


def of_one_document(q, k, v, size, trust, turned):
    """Return sigma(b) recalled + (1 - sigma(b)) local for q, k, v [H, T, D] of one document, a segment at a time."""
    phi = torch.nn.functional.elu
    memory, total = torch.zeros(4, 8, 8).double(), torch.zeros(4, 8, 1).double()
    outputs = []
    for start in range(0, q.shape[1], size):
        asked, keys, values = (tensor[:, start : start + size] for tensor in (q, k, v))
        above, kept = phi(asked) + 1, phi(keys) + 1
        recalled = above @ memory / (above @ total) if start else 0
        known = kept @ memory / (kept @ total) if start else 0
        memory, total = memory + kept.mT @ (values - known), total + kept.sum(dim=1)[..., None]
        local = torch.arange(keys.shape[1])[None]
        logits = (turned(asked[None], local) @ turned(keys[None], local).mT)[0] / math.sqrt(8)
        future = torch.ones(keys.shape[1], keys.shape[1]).triu(1).bool()
        weights = logits.masked_fill(future, -math.inf).softmax(dim=-1)
        outputs.append(trust * recalled + (1 - trust) * (weights @ values))
    return torch.cat(outputs, dim=1)


@pytest.mark.parametrize("rows", [((40,), (40,)), ((1, 30, 9), (23, 2, 15))])
@pytest.mark.parametrize("size", [1, 6, 16])
def test_segments_read_locally_and_recall_what_was_written_before(size, rows, offered, packed, grown, turned, compare):
    heads, places, layer = offered(2, 40), packed(*rows), grown(Infini(size), 1)
    trust = layer.beta.detach().double().sigmoid()[:, None, None]

    def meant(q, k, v):
        rests = []
        for row, lengths in enumerate(rows):
            documents = zip(*(tensor[row].split(lengths, dim=1) for tensor in (q, k, v)), strict=True)
            rests.append(torch.cat([of_one_document(*parts, size, trust, turned) for parts in documents], dim=1))
        return torch.stack(rests)

    compare(layer.gather(heads, places, places, ROPE, IntraDocument()), heads, meant)


def test_a_trusted_memory_shows_nothing_of_its_own_segment(offered, grown):
    # Written before it is read, the memory would leak the end of the segment to its start.
    heads, places, layer = offered(1, 12), Places.of(torch.arange(12)[None]), grown(Infini(4), 0)
    layer.beta.data.fill_(50.0)
    found = layer.gather(heads, places, places, ROPE, IntraDocument())
    gradients = torch.autograd.grad(found[:, :, 4:8].sin().sum(), (heads.k, heads.v))
    for gradient in gradients:
        assert gradient[:, :, :4].any()
        assert not gradient[:, :, 4:].any()


def test_the_first_segment_recalls_0_and_is_finite(offered, grown):
    heads, places, layer = offered(1, 4), Places.of(torch.arange(4)[None]), grown(Infini(4), 0)
    layer.beta.data.zero_()
    found = layer.gather(heads, places, places, Nope(), IntraDocument())
    assert found[0, :, 0].tolist() == (heads.v[0, [0, 0, 1, 1], 0] / 2).tolist()  # the first token sees itself alone
    found.sum().backward()
    assert all(tensor.grad.isfinite().all() for tensor in (heads.q, heads.k, heads.v))


@pytest.mark.parametrize("position", [ROPE, Alibi()], ids=["rope", "alibi"])
def test_positions_are_local_to_the_segment(position, offered, grown):
    heads, layer = offered(1, 12), grown(Infini(4), 0)
    here, there = (Places.of(torch.arange(12)[None] * step) for step in (1, 9))
    found = [layer.gather(heads, places, places, position, IntraDocument()) for places in (here, there)]
    assert torch.equal(*found)


@pytest.mark.parametrize("start", [17, 36, 39])
def test_queries_after_a_cache_gather_what_the_whole_row_gathers(start, offered, grown, last):
    heads, places, layer = offered(1, 40), Places.of(torch.arange(40)[None]), grown(Infini(6), 0)
    whole = layer.gather(heads, places, places, ROPE, IntraDocument())
    tail = layer.gather(last(heads, start), places.part(start, 40), places, ROPE, IntraDocument())
    torch.testing.assert_close(tail, whole[:, :, start:], rtol=1e-4, atol=1e-5)


def test_under_autocast_the_memory_keeps_single_precision(offered, grown):
    rough, places, layer = offered(1, 200, torch.bfloat16), Places.of(torch.arange(200)[None]), grown(Infini(4), 0)
    layer.beta.data.fill_(50.0)  # what is recalled counts alone
    same = Heads(rough.q.float(), rough.k.float(), rough.v.float(), (), rough.x, rough.project)
    exact = layer.gather(same, places, places, Nope(), IntraDocument())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer.gather(rough, places, places, Nope(), IntraDocument())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, rtol=2**-8, atol=1e-5)


def test_every_head_of_every_layer_learns_how_far_it_trusts_the_memory_from_a_half_on():
    part = Infini(4).grown(Sizes(12, 2, 4, 2, 8), None)
    assert {name: value.tolist() for name, value in part.named_parameters()} == {
        "layers.0.beta": [0.0] * 4,
        "layers.1.beta": [0.0] * 4,
    }
    assert Infini(4).base() == Infini(4)


def test_an_empty_segment_is_refused():
    with pytest.raises(Refusal, match=r"attention\.segment must be at least 1 token, got 0"):
        Infini(0)
