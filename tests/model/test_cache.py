"""The cache is written in place, and forgets what no query can look at any more."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from ctxext.attention.block_topk import BlockTopk
from ctxext.attention.forgetting import Forgetting
from ctxext.attention.infini import Infini
from ctxext.attention.linear import Linear
from ctxext.attention.log_n import LogN
from ctxext.attention.recurrence import Recurrence
from ctxext.attention.retention import Retention
from ctxext.attention.softmax import Softmax
from ctxext.mask.causal import past
from ctxext.mask.chunked import Chunked
from ctxext.mask.document import IntraDocument
from ctxext.mask.lambda_mask import LambdaMask
from ctxext.mask.layered import Layered
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model import strip as module
from ctxext.model.cache import DecoderCache, Plan, plan_of, span_of
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry
from ctxext.model.strip import NOTHING, WHOLE, Span
from ctxext.position.alibi import Alibi
from ctxext.position.dynamic import RopeDynamicNtk
from ctxext.position.rope import Rope
from ctxext.position.xpos import XPos
from ctxext.seams import Attention, Reach, View

GEOMETRY = DecoderGeometry(67, 24, 40, 2, 4, 2, 8, True, 1e-5)
ROPE = Rope(10000.0)
ROLLING = {
    "window": (SlidingWindow(12), Softmax()),
    "window of one": (SlidingWindow(1), Softmax()),
    "sinks": (Sinks(12, 4), Softmax()),
    "more sinks than window": (Sinks(3, 20), Softmax()),
    "lambda": (LambdaMask(12, 3), Softmax()),
    "narrow layers": (Layered("SC", 6, 12, "linear"), Softmax()),
    "chunks": (Chunked(12), Softmax()),
    "segments and a memory": (IntraDocument(), Recurrence(5, 7)),
    "segments and a state": (IntraDocument(), Infini(8)),
    "a state": (IntraDocument(), Linear()),
    "a state that decays": (IntraDocument(), Retention(1e-5)),
    "gates in a window": (SlidingWindow(12), Forgetting(64)),
    "gates over sinks": (Sinks(12, 4), Forgetting(64)),
    "log n": (SlidingWindow(12), LogN(8)),
    "log n over sinks": (Sinks(12, 4), LogN(8)),
}


def decoder(position, mask, attention) -> Decoder:
    """Return a decoder with weights large enough that every method shows, the same in every call."""
    torch.manual_seed(0)
    network = Decoder(GEOMETRY, position, mask, attention)
    draw = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.data.normal_(mean=float(parameter.dim() < 2), std=0.3, generator=draw)
    return network.eval()


def tokens(length: int, rows: int = 1) -> Tensor:
    return torch.randint(GEOMETRY.vocab_size, (rows, length), generator=torch.Generator().manual_seed(2))


def read(network: Decoder, ids: Tensor, cache: DecoderCache, edges: list[int]) -> Tensor:
    """Return the hidden states of `ids` read from each of the `edges` to the next."""
    places = torch.arange(ids.shape[1]).expand(ids.shape)
    parts = [network.hidden(ids[:, i:j], places[:, i:j], cache=cache) for i, j in pairwise(edges)]
    return torch.cat(parts, dim=1)


@torch.inference_mode()
def test_a_cache_that_forgets_gives_what_one_that_keeps_all_gives(composition, monkeypatch):
    monkeypatch.setattr(module, "ROOM", 1)
    network, ids = decoder(*composition[1:]), tokens(50, rows=2)
    edges = [0, 3, 4, 5, 22, 23, 41, *range(42, 51)]
    forgetful, whole = network.new_cache(), DecoderCache()
    found, expected = read(network, ids, forgetful, edges), read(network, ids, whole, edges)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    rolls = [layer.plan for layer in forgetful.layers if layer.plan.span.before < 49]
    assert not rolls or forgetful.nbytes < whole.nbytes


@torch.inference_mode()
@pytest.mark.parametrize(("mask", "attention"), ROLLING.values(), ids=ROLLING.keys())
def test_over_thousands_of_tokens_the_outputs_are_the_same_and_the_bytes_stay_as_they_are(mask, attention):
    network, ids = decoder(ROPE, mask, attention), tokens(2100)
    edges = [0, 300, *range(301, 1300, 37), *range(1300, 2100), 2100]
    forgetful, sizes = network.new_cache(), []
    hook = network.norm.register_forward_hook(lambda *_: sizes.append(forgetful.nbytes))
    found = read(network, ids, forgetful, edges)
    hook.remove()
    # A state is summed token by token, all keys in another order: sums of thousands differ by their rounding.
    torch.testing.assert_close(found, read(network, ids, DecoderCache(), edges), rtol=1e-5, atol=1e-4)
    assert len(set(sizes[-800:])) == 1
    assert all(strip.capacity < 120 for layer in forgetful.layers for strip in layer.strips)


@torch.inference_mode()
@pytest.mark.parametrize("mask", [IntraDocument(), SlidingWindow(5), Sinks(6, 3)], ids=["all", "window", "sinks"])
def test_blocks_are_ranked_by_means_that_were_taken_as_they_came(mask):
    network, ids = decoder(ROPE, mask, BlockTopk(8, 3)), tokens(200, rows=2)
    edges = [0, 3, 30, 31, 47, *range(48, 120), 190, *range(191, 201)]
    found, expected = (read(network, ids, cache, edges) for cache in (network.new_cache(), DecoderCache()))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize(("mask", "attention"), ROLLING.values(), ids=ROLLING.keys())
def test_forks_go_on_from_where_they_were_made(mask, attention, monkeypatch):
    monkeypatch.setattr(module, "ROOM", 2)
    network, ids = decoder(ROPE, mask, attention), tokens(70)
    cache, places = network.new_cache(), torch.arange(70)[None]
    read(network, ids[:, :31], cache, [0, 30, 31])
    for first in (0, 5):  # another text each
        ending = torch.cat((ids[:, :31], ids[:, first : first + 30]), dim=1)
        found = network.hidden(ending[:, 31:], places[:, 31:61], cache=cache.fork())
        torch.testing.assert_close(found, network.hidden(ending, places[:, :61])[:, 31:], rtol=1e-4, atol=1e-4)
    assert cache.size == 31


def test_room_is_made_at_once_for_what_is_to_come():
    network, ids = decoder(ROPE, Layered("SL", 6, 6, "constant"), Softmax()), tokens(40)
    cache = network.new_cache()
    cache.reserve(40)
    read(network, ids, cache, [0, *range(20, 41)])
    assert [layer.strips[0].capacity for layer in cache.layers] == [40, 40]
    assert cache.repeat(2).layers[1].strips[0].reserved == 40


RESERVED = {
    "window": (SlidingWindow(100), Softmax()),
    "sinks": (Sinks(100, 4), Softmax()),
    "chunks": (Chunked(100), Softmax()),
    "log n": (SlidingWindow(150), LogN(64)),
    "alibi": (SlidingWindow(130), Softmax()),
}


@torch.inference_mode()
@pytest.mark.parametrize("name", RESERVED)
def test_with_room_made_beforehand_keys_and_places_are_dropped_together(name):
    mask, attention = RESERVED[name]
    network, ids = decoder(Alibi() if name == "alibi" else ROPE, mask, attention), tokens(900)
    edges = [0, 200, 310, 311, 312, 470, *range(471, 500), 650, 651, 800, *range(801, 901)]
    expected = network.hidden(ids, torch.arange(900)[None])
    for size in (500, 900):
        cache = network.new_cache()
        cache.reserve(size)
        torch.testing.assert_close(read(network, ids, cache, edges), expected, rtol=1e-4, atol=1e-4)


def test_angles_that_change_with_the_length_leave_nothing_to_carry():
    assert plan_of(ROPE, IntraDocument(), Linear()) == Plan(NOTHING, is_carried=True)
    assert plan_of(RopeDynamicNtk(10000.0, 4.0, 16), IntraDocument(), Linear()) == Plan(WHOLE)


def test_what_a_mechanism_may_look_at_without_saying_where_is_all_kept():
    network = decoder(ROPE, Layered("SL", 6, 6, "constant"), Softmax())
    assert [layer.plan.span for layer in network.new_cache().layers] == [Span(0, 6), WHOLE]
    assert plan_of(ROPE, SlidingWindow(6), Unsaid()) == Plan(WHOLE, is_turned=False)


def test_keys_are_turned_before_they_are_kept_where_they_never_turn_again():
    assert plan_of(ROPE, IntraDocument(), Softmax()) == Plan(WHOLE, is_turned=True)
    assert plan_of(ROPE, SlidingWindow(6), Softmax()) == Plan(Span(0, 6), is_turned=True)
    assert not plan_of(ROPE, Sinks(12, 4), Softmax()).is_turned
    assert not plan_of(RopeDynamicNtk(10000.0, 4.0, 16), IntraDocument(), Softmax()).is_turned
    assert not plan_of(XPos(10000.0, 512.0), IntraDocument(), Softmax()).is_turned
    assert not plan_of(Alibi(), IntraDocument(), Softmax()).is_turned


class Unsaid(Attention):
    """A mechanism that doesn't say what it looks at."""


def spanned(*reaches: Reach) -> Span:
    return span_of([View(past, reach) for reach in reaches])


def test_the_span_holds_all_that_a_view_can_reach():
    head = Reach("head", 4, beyond=12)
    assert spanned(Reach("band", 12), head) == Span(4, 12)
    assert spanned(Reach("band", 5), head, Reach("band", 9, beyond=2)) == Span(4, 12)
    assert spanned(Reach("band", 5), Reach(beyond=9)) == WHOLE
    assert Span(4, 12).before == 15


def test_what_was_read_in_inference_mode_can_be_gone_on_with_outside_of_it():
    network, ids = decoder(ROPE, Sinks(12, 4), Softmax()), tokens(30)
    places, cache = torch.arange(30)[None], network.new_cache()
    with torch.inference_mode():
        network.hidden(ids[:, :20], places[:, :20], cache=cache)
        copy = cache.repeat(1)
    for kept in (cache, copy):
        network.hidden(ids[:, 20:], places[:, 20:], cache=kept)
    assert cache.size == copy.size == 30


def test_a_repeated_cache_that_forgot_goes_on_as_its_row(monkeypatch):
    monkeypatch.setattr(module, "ROOM", 1)
    network, ids = decoder(ROPE, Sinks(12, 4), Softmax()), tokens(80)
    places = torch.arange(80)[None]
    cache = network.new_cache()
    read(network, ids[:, :60], cache, [0, 30, *range(31, 61)])
    twice = network.hidden(ids[:, 60:].repeat(2, 1), places[:, 60:].repeat(2, 1), cache=cache.repeat(2))
    alone = network.hidden(ids[:, 60:], places[:, 60:], cache=cache)
    torch.testing.assert_close(twice, alone.expand_as(twice))
