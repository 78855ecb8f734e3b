"""Costs are held against counts by other means: torch's counter, sums over dense masks, and the cache itself."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model import cost
from ctxext.model.geometry import DecoderGeometry, LstmGeometry
from ctxext.position.rope import Rope

GEOMETRY = DecoderGeometry(67, 24, 40, 2, 4, 2, 8, tie_word_embeddings=True, rms_norm_eps=1e-5)
UNTIED = DecoderGeometry(67, 24, 40, 2, 4, 2, 8, tie_word_embeddings=False, rms_norm_eps=1e-5)
ROPE = Rope(10000.0)
CPU = torch.device("cpu")


def counted(network: object, length: int) -> int:
    """Return what torch counts for the logits of a row of `length` tokens, with dense attention."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        tokens = torch.zeros(1, length, dtype=torch.int64)
        hidden = network.hidden(tokens, torch.arange(length)[None])
        hidden @ network.unembedding[0].T
    return counter.get_total_flops()


@pytest.mark.parametrize("geometry", [GEOMETRY, UNTIED])
def test_products_are_those_that_torch_counts_but_for_the_pairs_that_no_one_needs(geometry):
    length = 32
    network = geometry.build(ROPE, IntraDocument(), Softmax())
    needed = cost.flops_per_token(network, length) * length
    unneeded = 4 * 4 * 8 * 2 * (length * length - length * (length + 1) / 2)
    assert needed + unneeded == counted(network, length)


def test_a_window_needs_fewer_products_and_the_difference_is_its_pairs():
    whole, windowed = (GEOMETRY.build(ROPE, mask, Softmax()) for mask in (IntraDocument(), SlidingWindow(4)))
    saved = cost.flops_per_token(whole, 10) - cost.flops_per_token(windowed, 10)
    pairs = (10 * 11 / 2 - (1 + 2 + 3 + 4 * 7)) / 10
    assert saved == pytest.approx(4 * 4 * 8 * 2 * pairs)


def test_visible_keys_are_those_of_the_dense_mask_also_when_sampled():
    causal, windowed = IntraDocument().views(), SlidingWindow(100).views()
    assert cost.mean_visible(causal, 7, CPU) == 4
    assert cost.mean_visible(Sinks(2, 1).views(), 4, CPU) == (1 + 2 + 3 + 3) / 4
    assert cost.mean_visible(SelfExtend(2, 2).views(IntraDocument()), 7, CPU) == 4
    assert cost.mean_visible(causal, 5000, CPU) == pytest.approx(5001 / 2, rel=1e-3)
    assert cost.mean_visible(windowed, 5000, CPU) == pytest.approx((4950 + 100 * 4900) / 5000, rel=2e-3)


def test_density_is_the_share_of_all_pairs_and_the_mean_of_layers():
    class Alternating(IntraDocument):
        def layer(self, index: int, count: int) -> IntraDocument | SlidingWindow:
            return SlidingWindow(1) if index else IntraDocument()

    assert cost.mask_density(GEOMETRY.build(ROPE, IntraDocument(), Softmax()), 8) == 9 / 16
    assert cost.mask_density(GEOMETRY.build(ROPE, Alternating(), Softmax()), 8) == (9 / 16 + 1 / 8) / 2


def test_a_recurrent_network_costs_the_same_at_every_length_and_keeps_a_state_of_fixed_size():
    network = LstmGeometry(67, 8, 12, 1).build(ROPE, IntraDocument(), Softmax())
    assert cost.flops_per_token(network, 10) == cost.flops_per_token(network, 1000) == 2 * (4 * 12 * (8 + 12) + 67 * 12)
    assert cost.cache_bytes_per_token(network) == 0
    assert cost.mask_density(network, 10) is None


def test_the_cache_grows_by_keys_and_values_in_each_layer():
    network = GEOMETRY.build(ROPE, IntraDocument(), Softmax())
    assert cost.cache_bytes_per_token(network) == 2 * 2 * 2 * 8 * 4


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
