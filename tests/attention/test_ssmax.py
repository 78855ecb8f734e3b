import math

import pytest
import torch

from ctxext.attention.softmax import Softmax
from ctxext.attention.ssmax import Ssmax
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.refusal import Refusal
from ctxext.seams import Sizes

SIZES = Sizes(12, 3, 4, 2, 8)
TIMES = torch.arange(20)
DISTANCES = TIMES[:, None] - TIMES
PAST = DISTANCES >= 0


@pytest.mark.parametrize("bias", ["none", "learned"])
def test_logits_are_multiplied_by_the_rate_of_each_head_times_ln_n_and_its_bias(
    bias, drawn_heads, gathered, dense, agree
):
    layer = Ssmax(0.4, bias).grown(SIZES, None).layer(1, 3)
    layer.scale.data = torch.tensor([0.1, 0.5, 1.0, 2.0])
    biases = torch.tensor([0.3, 0.0, 0.1, 0.2]) if bias == "learned" else torch.zeros(4)
    if bias == "learned":
        layer.bias.data = biases
    counts = torch.tensor([math.log(count) for count in range(1, 21)], dtype=torch.float64)
    scale = (layer.scale.double()[:, None] * counts + biases.double()[:, None])[None, :, :, None]
    heads = drawn_heads(20)
    agree(heads, gathered(layer, heads), dense(heads, DISTANCES, PAST, scale.detach()))


def test_under_a_window_only_what_is_visible_counts(drawn_heads, gathered, dense, agree):
    layer, heads = Ssmax(0.4, "none").grown(SIZES, None).layer(0, 3), drawn_heads(20)
    scale = torch.tensor([0.4 * math.log(min(count, 5)) for count in range(1, 21)], dtype=torch.float64)[:, None]
    expected = dense(heads, DISTANCES, PAST & (DISTANCES < 5), scale)
    agree(heads, gathered(layer, heads, mask=SlidingWindow(5)), expected)


def test_each_layer_learns_a_rate_of_its_own_for_each_head(drawn_heads, gathered):
    part = Ssmax(0.25, "learned").grown(SIZES, None)
    shapes = {name: tuple(parameter.shape) for name, parameter in part.named_parameters()}
    assert shapes == {f"layers.{index}.{name}": (4,) for index in range(3) for name in ("scale", "bias")}
    assert all((layer.scale == 0.25).all() and not layer.bias.any() for layer in part.layers)
    gathered(part.layer(2, 3), drawn_heads(20)).square().sum().backward()
    assert part.layers[2].scale.grad.abs().min() > 0
    assert part.layers[2].bias.grad.abs().min() > 0
    assert part.layers[1].scale.grad is None


def test_without_a_bias_there_is_no_parameter_for_it():
    part = Ssmax(0.25, "none").grown(SIZES, None)
    assert [name for name, _ in part.named_parameters()] == [f"layers.{index}.scale" for index in range(3)]


def test_it_extends_softmax_which_no_rate_can_equal():
    assert Ssmax(0.4, "none").base() == Softmax()
    assert Ssmax(0.4, "none").off(64) is None


def test_a_rate_of_0_and_an_unknown_bias_are_refused():
    with pytest.raises(Refusal, match=r"attention\.initial_scale must be above 0, got 0"):
        Ssmax(0, "none")
    with pytest.raises(Refusal, match=r"attention\.bias must be none or learned, got 'yes'"):
        Ssmax(0.4, "yes")
