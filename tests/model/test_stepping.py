"""One token is read by steps exactly as its blocks would read it, and only where these are all that there is."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from ctxext.attention.log_n import LogN
from ctxext.attention.softmax import Softmax
from ctxext.mask.chunked import Chunked
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import DecoderGeometry, VanillaGeometry
from ctxext.position.alibi import Alibi
from ctxext.position.dynamic import RopeDynamicNtk
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope

GEOMETRY = DecoderGeometry(67, 24, 40, 3, 4, 2, 8, True, 1e-5)
MEMBERS = {"position": Rope(10000.0), "mask": IntraDocument(), "attention": Softmax()}
STEPPED = {
    "rope": {},
    "window": {"mask": SlidingWindow(6)},
    "window of one": {"mask": SlidingWindow(1)},
    "no positions": {"position": Nope()},
}
NOT_STEPPED = {
    "bias": {"position": Alibi()},
    "angles by length": {"position": RopeDynamicNtk(10000.0, 4.0, 16)},
    "sinks": {"mask": Sinks(6, 2)},
    "chunks": {"mask": Chunked(6)},
    "scale": {"attention": LogN(8)},
}


def network(geometry=GEOMETRY, **members):
    """Return a decoder with weights large enough that every method shows."""
    torch.manual_seed(0)
    decoder = geometry.build(*(MEMBERS | members).values()).eval()
    for parameter in decoder.parameters():
        parameter.data.normal_(mean=float(parameter.dim() < 2), std=0.3)
    return decoder


@torch.inference_mode()
def read(decoder, cache):
    """Return the states [2, 30, W] of a text of which the last tokens come one by one."""
    ids = torch.randint(67, (2, 30), generator=torch.Generator().manual_seed(1))
    places = torch.arange(30).expand(2, 30)
    edges = [0, 9, 10, *range(11, 31)]
    parts = [decoder.hidden(ids[:, i:j], places[:, i:j], cache=cache) for i, j in pairwise(edges)]
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("geometry", [GEOMETRY, replace(GEOMETRY, attention_bias=True)], ids=["plain", "biases"])
@pytest.mark.parametrize("members", STEPPED.values(), ids=STEPPED.keys())
def test_steps_give_what_blocks_give(members, geometry):
    decoder = network(geometry, **members)
    stepped, called = decoder.new_cache(), decoder.new_cache()
    called.steps = None
    assert len(stepped.steps) == 3
    torch.testing.assert_close(read(decoder, stepped), read(decoder, called), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("members", NOT_STEPPED.values(), ids=NOT_STEPPED.keys())
def test_what_does_more_is_read_by_its_blocks(members):
    assert network(**members).new_cache().steps is None


def test_another_body_is_read_by_its_blocks():
    assert VanillaGeometry(67, 24, 40, 2, 4, 1e-5).build(*MEMBERS.values()).new_cache().steps is None
    assert network().double().new_cache().steps is None


def test_what_is_hung_on_a_block_acts():
    decoder = network()
    projection = decoder.layers[1].self_attn.v_proj
    hook = projection.register_forward_hook(lambda module, inputs, output: output + 1)
    assert decoder.new_cache().steps is None
    hook.remove()
    assert decoder.new_cache().steps is not None
    decoder.layers[1].self_attn.v_proj = torch.nn.Sequential(projection)  # as an adapter replaces it
    assert decoder.new_cache().steps is None


def refused(*_):
    raise AssertionError("a step")


def test_with_gradients_a_token_goes_through_the_blocks():
    decoder = network()
    token, place, cache = torch.tensor([[5]]), torch.tensor([[0]]), decoder.new_cache()
    cache.steps = None
    expected = decoder.hidden(token, place, cache=cache)
    cache = decoder.new_cache()
    cache.steps = [refused] * 3
    torch.testing.assert_close(decoder.hidden(token, place, cache=cache), expected, rtol=0, atol=0)
    cache = decoder.new_cache()
    cache.steps = [refused] * 3
    with torch.no_grad(), pytest.raises(AssertionError, match=r"^a step$"):
        decoder.hidden(token, place, cache=cache)
