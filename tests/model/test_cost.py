"""Costs are held against counts by other means: torch's counter, sums over dense masks, and the cache itself."""

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ctxext.attention.block_topk import BlockTopk
from ctxext.attention.differential import Differential
from ctxext.attention.infini import Infini
from ctxext.attention.linear import Linear
from ctxext.attention.recurrence import Recurrence
from ctxext.attention.retention import Retention
from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softmax import Softmax
from ctxext.config.folders import option_file, options
from ctxext.evaluation.costs.computed import computed_flops
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model import cost
from ctxext.model.geometry import DecoderGeometry, LstmGeometry
from ctxext.places import Places
from ctxext.position.cope import Cope
from ctxext.position.fire import Fire
from ctxext.position.rope import Rope
from ctxext.seams import Attention, Heads, Position, View

GEOMETRY = DecoderGeometry(67, 24, 40, 2, 4, 2, 8, tie_word_embeddings=True, rms_norm_eps=1e-5)
UNTIED = DecoderGeometry(67, 24, 40, 2, 4, 2, 8, tie_word_embeddings=False, rms_norm_eps=1e-5)
ROPE = Rope(10000.0)
CPU = torch.device("cpu")


def counted(network: object, length: int) -> int:
    """Return what torch counts for the logits of a row of `length` tokens, with dense attention."""
    tokens = torch.zeros(1, length, dtype=torch.int64)
    with torch.no_grad():
        return computed_flops(lambda: network.hidden(tokens, torch.arange(length)[None]) @ network.unembedding[0].T)


@pytest.mark.parametrize("geometry", [GEOMETRY, UNTIED])
def test_products_are_those_that_torch_counts_but_for_the_pairs_that_no_one_needs(geometry):
    length = 32
    network = geometry.build(ROPE, IntraDocument(), Softmax())
    needed = cost.flops_per_token(network, length) * length
    unneeded = 4 * 4 * 8 * 2 * (length * length - length * (length + 1) / 2)
    assert needed + unneeded == counted(network, length)


@pytest.mark.parametrize("family", [name for name in options("model") if not name.startswith("llama")])  # too large
def test_every_body_needs_what_torch_counts_for_dense_attention(family):
    geometry = instantiate(OmegaConf.load(option_file("model", family)), _convert_="all")
    network, length = geometry.build(ROPE, IntraDocument(), Softmax()), 40
    sizes = getattr(geometry, "sizes", None)
    each = 0 if sizes is None else 4 * sizes.num_attention_heads * sizes.head_dim * sizes.num_hidden_layers
    unneeded = each * length * (length - 1) / 2  # the kernel counts the future too
    found = counted(network.double(), length)  # in doubles an LSTM has no kernel that torch doesn't count
    assert cost.flops_per_token(network, length) * length + unneeded == pytest.approx(found, rel=0.02)


def gathered(attention: Attention, heads: Heads, places: Places) -> Tensor:
    """Return what `attention` gathers, without positions."""
    return attention.gather(heads, places, places, Position(), IntraDocument())


@torch.no_grad()
def test_every_attention_sees_as_many_keys_as_change_what_it_gathers(each_attention):
    network, length = GEOMETRY.build(ROPE, IntraDocument(), each_attention).eval(), 50
    x = torch.randn(1, length, 24, generator=torch.Generator().manual_seed(0))
    places = Places.of(torch.arange(length)[None])
    shares = []
    for block, (_, _, attention) in zip(network.layers, network.members, strict=True):
        q, k, v = block.self_attn.project(x)
        remembered, project = tuple(attention.remember(x)), block.self_attn.project
        plain = gathered(attention, Heads(q, k, v, remembered, x, project), places)
        for key in range(length):  # text by text: of rows side by side, the last bits may differ
            changed = v.clone()
            changed[:, :, key] += 1e3
            found = gathered(attention, Heads(q, k, changed, remembered, x, project), places)
            shares.append((found != plain).any(dim=-1).double().mean())
    assert cost.mask_density(network, length) == pytest.approx(float(sum(shares) / len(shares)))


@torch.no_grad()
def test_every_attention_computes_at_least_what_it_needs(each_attention):
    for length in (40, 64):
        network = GEOMETRY.build(ROPE, IntraDocument(), each_attention).eval()
        assert cost.flops_per_token(network, length) * length <= counted(network, length)


def pairs_of_blocks(length: int, block: int, top_k: int) -> float:
    """Return the products of mixture of block attention: whole blocks, the rest of the own one, and the ranking."""
    total = 0
    for token in range(length):
        past = token // block
        chosen = min(past, top_k - 1) * block + token % block + 1
        total += 2 * 8 * chosen + 8 * past
    return total


def pairs_of_segments(length: int, segment: int, memory: int) -> float:
    """Return the products of segment-level recurrence."""
    begins = [token - token % segment for token in range(length)]
    return sum(2 * 8 * (token - max(begin - memory, 0) + 1) for token, begin in enumerate(begins))


def memory_of_segments(length: int, segment: int) -> float:
    """Return the products of Infini-attention, told off segment by segment."""
    total, parts = 0, [min(segment, length - start) for start in range(0, length, segment)]
    for number, size in enumerate(parts):
        total += 2 * 8 * size * (size + 1) // 2
        looks_up, is_written = 8 * 8 + 8, number + 1 < len(parts)
        total += size * looks_up * (number > 0)
        total += size * 8 * 8 * is_written + size * looks_up * (is_written and number > 0)
    return total


CAUSAL = 53 * 54 / 2
OWN_RULES = {
    "differential": (Differential(1e-5), CAUSAL * (8 + 16)),
    "linear": (Linear(), 53 * 2 * 8 * 9),
    "retention": (Retention(1e-5), 53 * 2 * 8 * 8),
    "block_topk": (BlockTopk(5, 3), pairs_of_blocks(53, 5, 3)),
    "block_topk of all": (BlockTopk(5, 11), CAUSAL * 16),
    "recurrence": (Recurrence(7, 4), pairs_of_segments(53, 7, 4)),
    "infini": (Infini(9), memory_of_segments(53, 9)),
    "infini of one segment": (Infini(64), CAUSAL * 16),
}


@pytest.mark.parametrize("name", OWN_RULES)
def test_a_rule_of_its_own_needs_what_is_told_off_token_by_token(name):
    attention, products = OWN_RULES[name]
    network = GEOMETRY.build(ROPE, IntraDocument(), attention)
    heads = cost.flops_per_token(network, 53) - 2 * cost.matrix_weights(network)
    assert heads * 53 == pytest.approx(2 * 2 * 4 * products)  # of 2 layers with 4 heads


def test_linear_attention_needs_what_a_recurrent_form_multiplies():
    keys, values, state = torch.rand(20, 8), torch.rand(20, 9), torch.zeros(8, 9)
    with FlopCounterMode(display=False) as counter:
        for key, value in zip(keys, values, strict=True):
            state = state + key[:, None] @ value[None]
            key[None] @ state
    work = Linear().work(IntraDocument(), 20, 8)
    assert 20 * 2 * work.by_token == counter.get_total_flops()


def test_what_is_added_by_content_counts_and_weights_that_meet_pairs_alone_do_not():
    plain, cope, fire = (
        GEOMETRY.build(position, IntraDocument(), Softmax()) for position in (ROPE, Cope(10), Fire(16, 32))
    )
    assert cost.flops_per_token(cope, 9) - cost.flops_per_token(plain, 9) == 2 * 2 * 4 * 10 * 8
    assert cost.flops_per_token(fire, 9) == cost.flops_per_token(plain, 9)


def test_a_window_needs_fewer_products_and_the_difference_is_its_pairs():
    whole, windowed = (GEOMETRY.build(ROPE, mask, Softmax()) for mask in (IntraDocument(), SlidingWindow(4)))
    saved = cost.flops_per_token(whole, 10) - cost.flops_per_token(windowed, 10)
    pairs = (10 * 11 / 2 - (1 + 2 + 3 + 4 * 7)) / 10
    assert saved == pytest.approx(4 * 4 * 8 * 2 * pairs)


def seen(views: tuple[View, ...], length: int) -> float:
    """Return how many keys a query sees over all `views`."""
    return sum(cost.mean_visible(view, length, CPU) for view in views)


def test_visible_keys_are_those_of_the_dense_mask_also_when_sampled():
    causal, windowed = IntraDocument().views(), SlidingWindow(100).views()
    assert seen(causal, 7) == 4
    assert seen(Sinks(2, 1).views(), 4) == (1 + 2 + 3 + 3) / 4
    assert seen(SelfExtend(2, 2).views(IntraDocument()), 7) == 4
    assert seen(causal, 5000) == pytest.approx(5001 / 2, rel=1e-3)
    assert seen(windowed, 5000) == pytest.approx((4950 + 100 * 4900) / 5000, rel=2e-3)


def test_density_is_the_share_of_all_pairs_and_the_mean_of_layers():
    class Alternating(IntraDocument):
        def layer(self, index: int, count: int) -> IntraDocument | SlidingWindow:
            return SlidingWindow(1) if index else IntraDocument()

    assert cost.mask_density(GEOMETRY.build(ROPE, IntraDocument(), Softmax()), 8) == 9 / 16
    assert cost.mask_density(GEOMETRY.build(ROPE, Alternating(), Softmax()), 8) == (9 / 16 + 1 / 8) / 2


def test_a_recurrent_network_costs_the_same_at_every_length_and_keeps_a_state_of_fixed_size():
    network = LstmGeometry(67, 8, 12, 1).build(ROPE, IntraDocument(), Softmax())
    assert cost.flops_per_token(network, 10) == cost.flops_per_token(network, 1000) == 2 * (4 * 12 * (8 + 12) + 67 * 12)
    assert cost.cache_bytes(network, 10) == cost.cache_bytes(network, 1000) == 2 * 12 * 4
    assert cost.mask_density(network, 10) is None


def test_the_cache_grows_by_keys_and_values_in_each_layer():
    network = GEOMETRY.build(ROPE, IntraDocument(), Softmax())
    assert cost.cache_bytes(network, 1) == 2 * 2 * 2 * 8 * 4
    assert cost.cache_bytes(network, 1000) == 1000 * cost.cache_bytes(network, 1)


def test_a_window_bounds_the_cache_and_sinks_are_kept_beside_it():
    whole, windowed, sinks = (
        GEOMETRY.build(ROPE, mask, Softmax()) for mask in (IntraDocument(), SlidingWindow(9), Sinks(4, 9))
    )
    token = cost.cache_bytes(whole, 1)
    assert [cost.cache_bytes(windowed, length) / token for length in (1, 8, 9, 500)] == [1, 8, 8, 8]
    assert cost.cache_bytes(sinks, 500) / token == 12


def test_what_is_counted_of_a_cache_is_what_it_keeps_when_it_makes_room():
    network = GEOMETRY.build(ROPE, Sinks(4, 9), Softmax())
    cache = network.new_cache()
    for start in range(0, 400, 40):
        tokens = torch.zeros(1, 40, dtype=torch.int64)
        network.hidden(tokens, torch.arange(start, start + 40)[None], cache=cache)
    strips = [strip for layer in cache.layers for strip in layer.strips]
    assert sum(part.nbytes for strip in strips for part in strip.pieces(12)) == cost.cache_bytes(network, 400)


def test_weights_are_counted_once_and_the_optimiser_holds_three_times_as_much():
    tied, untied = (geometry.build(ROPE, IntraDocument(), Softmax()) for geometry in (GEOMETRY, UNTIED))
    assert cost.parameter_count(untied) - cost.parameter_count(tied) == 67 * 24
    assert cost.weight_bytes(tied) == 4 * cost.parameter_count(tied)
    assert cost.optimiser_bytes(tied) == 3 * cost.weight_bytes(tied)


def test_activations_are_measured_and_carried_on_to_other_lengths():
    network = GEOMETRY.build(ROPE, IntraDocument(), Softmax())
    at_16, at_64 = cost.saved_bytes(network, 16), cost.saved_bytes(network, 64)
    width = 24 * 4  # bytes of a state, of which each layer keeps several
    assert 64 * 2 * 6 * width < at_64 < 64 * 2 * 60 * width
    saved = {length: cost.saved_bytes(network, length) for length in (16, 32)}
    assert cost.extrapolated(64, saved) == pytest.approx(at_64, rel=0.02)
    assert cost.extrapolated(16, saved) == at_16
    assert all(part.grad is None for part in network.parameters())


def test_all_that_is_counted_is_what_each_count_says():
    network = GEOMETRY.build(ROPE, SlidingWindow(4), Softmax())
    assert cost.counted(network, 10) == {
        "parameters": cost.parameter_count(network),
        "flops_per_token": cost.flops_per_token(network, 10),
        "mask_density": cost.mask_density(network, 10),
        "cache_bytes_per_token": cost.cache_bytes(network, 10) / 10,
    }
    assert "mask_density" not in cost.counted(LstmGeometry(67, 8, 12, 1).build(ROPE, IntraDocument(), Softmax()), 10)
