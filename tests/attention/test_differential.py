import math
from dataclasses import fields

import pytest
import torch

from ctxext.attention.differential import Differential, initial_lambda
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import DecoderGeometry
from ctxext.places import Places
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal
from ctxext.seams import Sizes

ROPE, SETTINGS = Rope(10000.0), Differential(1e-5)


def test_the_lambda_of_each_layer_begins_as_in_the_paper():
    found = [initial_lambda(layer) for layer in range(4)]
    assert found == pytest.approx([0.2, 0.355509, 0.470713, 0.556058], abs=1e-6)


@pytest.mark.parametrize("rows", [((40,), (40,)), ((1, 30, 9), (23, 2, 15))])
@pytest.mark.parametrize("index", [0, 1])
def test_a_pair_subtracts_its_second_softmax_and_is_normed(index, rows, offered, packed, grown, turned, compare):
    heads, places, layer = offered(2, 40), packed(*rows), grown(SETTINGS, index)
    start = (0.2, 0.8 - 0.6 * math.exp(-0.3))[index]
    q1, k1, q2, k2 = (getattr(layer, f"lambda_{name}").detach().double() for name in ("q1", "k1", "q2", "k2"))
    subtracted = math.exp(float(q1 @ k1)) - math.exp(float(q2 @ k2)) + start

    def meant(q, k, v):
        # v holds each of the two key-value heads twice: a pair reads [v0, v1], 16 wide.
        together = (places.documents[:, None, :, None] == places.documents[:, None, None, :]).tril()
        logits = turned(q, places.positions) @ turned(k, places.positions).mT / math.sqrt(8)
        weights = logits.masked_fill(~together, -math.inf).softmax(dim=-1)
        values, outputs = torch.cat((v[:, 0], v[:, 2]), dim=-1), []
        for pair in range(2):
            rest = (weights[:, pair] - subtracted * weights[:, pair + 2]) @ values
            rest = rest / (rest.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt() * (1 - start)
            outputs += rest.split(8, dim=-1)
        return torch.stack(outputs, dim=1)

    compare(layer.gather(heads, places, places, ROPE, IntraDocument()), heads, meant)


@pytest.mark.parametrize("groups", [4, 2])
def test_it_gives_the_logits_of_diffllama(groups):
    transformers = pytest.importorskip("transformers")
    geometry = DecoderGeometry(67, 32, 40, 3, 4, groups, 8, True, 1e-5)
    sizes = {field.name: getattr(geometry, field.name) for field in fields(geometry)}
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    config = transformers.DiffLlamaConfig(**sizes, rope_parameters=rope)
    other = transformers.DiffLlamaForCausalLM(config).eval()
    network = geometry.build(ROPE, IntraDocument(), SETTINGS)
    draw = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.data.normal_(mean=float(parameter.dim() < 2 and parameter.shape != (8,)), std=0.3, generator=draw)
    theirs = {}
    for name, value in network.state_dict().items():
        theirs[name.replace("learned.attention.layers.", "layers.").replace(".lambda", ".self_attn.lambda")] = value
    other.model.load_state_dict(theirs)
    ids = torch.randint(67, (2, 30), generator=draw)
    with torch.no_grad():
        found = network.hidden(ids, torch.arange(30).expand(2, -1)) @ network.unembedding[0].T
        torch.testing.assert_close(found, other(ids).logits, rtol=1e-4, atol=1e-3)


def test_it_reads_through_a_window_and_a_cache(offered, grown, last):
    heads, places, layer = offered(1, 40), Places.of(torch.arange(40)[None]), grown(SETTINGS, 0)
    whole = layer.gather(heads, places, places, ROPE, SlidingWindow(7))
    tail = layer.gather(last(heads, 33), places.part(33, 40), places, ROPE, SlidingWindow(7))
    torch.testing.assert_close(tail, whole[:, :, 33:], rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(whole[:, :, 39].sin().sum(), heads.v)
    assert gradient.abs().sum(dim=(0, 1, 3)).bool().tolist() == [False] * 33 + [True] * 7


def test_under_autocast_lambda_keeps_single_precision(grown):
    layer = grown(SETTINGS, 0)
    exact = layer.subtracted()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer.subtracted(), exact)
    assert exact.dtype == torch.float32


def test_every_layer_has_four_vectors_of_its_own():
    torch.manual_seed(0)
    part = SETTINGS.grown(Sizes(12, 2, 4, 2, 1000), None)
    names = {f"layers.{index}.lambda_{name}" for index in range(2) for name in ("q1", "k1", "q2", "k2")}
    assert {name for name, _ in part.named_parameters()} == names
    assert all(value.std().item() == pytest.approx(0.1, rel=0.1) for value in part.parameters())
    assert SETTINGS.base() is SETTINGS


def test_key_value_heads_that_make_no_pairs_and_an_epsilon_of_0_are_refused():
    with pytest.raises(
        Refusal, match=r"model\.num_key_value_heads must be even, got 3; use an even number, or attention"
    ):
        SETTINGS.grown(Sizes(12, 2, 3, 3, 8), None)
    with pytest.raises(Refusal, match=r"attention\.rms_norm_eps must be above 0, got 0"):
        Differential(0.0)
