import math
from itertools import pairwise

import pytest
import torch

from ctxext.attention.softmax import Softmax
from ctxext.kernels import gather as kernel
from ctxext.mask.adaptive_span import AdaptiveSpan
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.places import Places
from ctxext.position.nope import Nope
from ctxext.refusal import Refusal
from ctxext.seams import Sizes

SETTINGS = AdaptiveSpan(max_span=40, initial_span=10, ramp=8, coefficient=0.5)
SIZES = Sizes(hidden_size=12, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=3, head_dim=4)
SHARES = [0.013, 0.31, 0.91]


def layer_with(shares: list[float], settings: AdaptiveSpan = SETTINGS):
    """Return the mask of a layer whose heads have learned `shares` of the largest span."""
    layer = settings.grown(SIZES, None).layer(0, 2)
    layer.shares.data = torch.tensor(shares)
    return layer


def dense(spans, q, k, v, ramp: int):
    """Return the outputs of the paper's equation: soft weights times exp(logit), then renormalised."""
    length = q.shape[2]
    gap = torch.arange(length, dtype=torch.float64)[:, None] - torch.arange(length)
    soft = ((ramp + spans[:, None, None] - gap) / ramp).clamp(0, 1) * (gap >= 0)
    weights = soft * torch.exp(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]))
    return weights / weights.sum(dim=-1, keepdim=True) @ v


def heads(length: int):
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(1, 3, length, 4, generator=draw) for _ in range(3)]


def gathered(layer, q, k, v):
    places = Places.of(torch.arange(q.shape[2])[None])
    return kernel.gather(q, k, v, places, places, layer.views(), Nope(), None)


@pytest.mark.parametrize("length", [1, 9, 13, 60])
@pytest.mark.parametrize("shares", [SHARES, [0.26] * 3, [0.01] * 3, [0.99] * 3])
def test_outputs_and_gradients_are_those_of_the_equation(shares, length):
    layer = layer_with(shares)
    found = gathered(layer, *heads(length))
    doubles = torch.tensor(shares, dtype=torch.float64, requires_grad=True)
    meant = dense(doubles * 40, *(part.double() for part in heads(length)), ramp=8)
    torch.testing.assert_close(found.double(), meant, rtol=1e-4, atol=1e-5)
    towards = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    if length > min(shares) * 40 + 1:  # else no weight is below 1
        (found * towards).sum().backward()
        (meant * towards).sum().backward()
        torch.testing.assert_close(layer.shares.grad.double(), doubles.grad, rtol=1e-3, atol=1e-4)


def test_a_head_sees_what_has_any_weight_and_at_span_0_still_itself(seen):
    visible = seen(layer_with(SHARES), 60)
    assert visible[:, 59].sum(dim=-1).tolist() == [9, 21, 45]  # distances below 8 + 0.52, 8 + 12.4, 8 + 36.4
    assert visible.diagonal(dim1=1, dim2=2).all()


def test_what_is_hidden_from_a_head_brings_no_nan_into_its_gradient():
    layer = layer_with([0.0, 0.1, 1.0])
    gathered(layer, *heads(60)).sin().sum().backward()
    assert layer.shares.grad.isfinite().all()


def test_the_task_s_gradient_reaches_every_head_whose_ramp_lies_within_the_text():
    layer = layer_with([0.0, 0.3, 1.0])
    gathered(layer, *heads(30)).sin().sum().backward()
    assert layer.shares.grad.abs().gt(1e-6).tolist() == [True, True, False]


def test_the_penalty_is_the_mean_span_of_each_layer_times_the_coefficient():
    part = SETTINGS.grown(SIZES, None)
    part.layer(0, 2).shares.data = torch.tensor([0.0, 0.25, 0.5])
    assert part.penalty().item() == pytest.approx(0.5 * (10 + 10))


def test_the_penalty_shrinks_spans_down_to_0_and_no_farther():
    part = SETTINGS.grown(SIZES, None)
    optimiser = torch.optim.AdamW(part.parameters(), lr=0.01, weight_decay=0.0)
    spans = []
    for _ in range(60):
        optimiser.zero_grad()
        part.penalty().backward()
        optimiser.step()
        part.settle()
        spans.append(part.layer(1, 2).spans().mean().item())
    assert all(after <= before for before, after in pairwise(spans))
    assert spans[0] < 10
    assert spans[-1] == 0
    assert part.layer(1, 2).shares.min() == 0


@pytest.mark.parametrize(("share", "end"), [(-0.1, 0.0), (1.1, 1.0)])
def test_a_span_that_overshot_settles_at_its_end_from_where_it_can_go_back(share, end):
    part = SETTINGS.grown(SIZES, None)
    layer = part.layer(0, 2)
    layer.shares.data.fill_(share)
    assert layer.spans().tolist() == [end * 40] * 3
    part.settle()
    assert layer.shares.tolist() == [end] * 3
    layer.spans().sum().backward()
    assert layer.shares.grad.tolist() == [40] * 3


def test_the_gradient_of_a_sum_is_the_sum_of_the_gradients_also_at_an_end():
    layer = layer_with([0.0, 0.5, 1.0])
    towards = torch.tensor([[1.0, -2.0, 3.0], [-4.0, 1.0, -1.0]])
    parts = [torch.autograd.grad((layer.spans() * part).sum(), layer.shares)[0] for part in towards]
    (whole,) = torch.autograd.grad((layer.spans() * towards.sum(0)).sum(), layer.shares)
    torch.testing.assert_close(sum(parts), whole)


def test_each_layer_and_head_has_a_span_of_its_own_below_learned():
    geometry = DecoderGeometry(67, 24, 40, 2, 4, 2, 8, True, 1e-5)
    network = geometry.build(Nope(), SETTINGS, Softmax())
    learned = {name: tensor.tolist() for name, tensor in network.state_dict().items() if "learned" in name}
    assert learned == {f"learned.mask.layers.{index}.shares": [0.25] * 4 for index in range(2)}
    assert network.penalty().item() == pytest.approx(10)


def test_spans_that_hold_the_text_change_no_bit():
    places = Places.of(torch.arange(30)[None])
    plain = kernel.gather(*heads(30), places, places, IntraDocument().views(), Nope(), None)
    assert torch.equal(gathered(layer_with([29 / 40, 0.8, 1.0]), *heads(30)), plain)
    assert not torch.equal(gathered(layer_with([27 / 40, 0.8, 1.0]), *heads(30)), plain)
    assert SETTINGS.off(100) == AdaptiveSpan(100, 100, 8, 0.5)
    assert SETTINGS.base() == IntraDocument()


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ((0, 0, 8, 0.5), r"mask\.max_span must be at least 1 token, got 0"),
        ((40, 41, 8, 0.5), r"mask\.initial_span must be from 0 to mask\.max_span=40, got 41"),
        ((40, 10, 0, 0.5), r"mask\.ramp must be at least 1 token, got 0"),
        ((40, 10, 8, -1.0), r"mask\.coefficient must be at least 0, got -1"),
    ],
)
def test_an_impossible_span_is_refused(values, rule):
    with pytest.raises(Refusal, match=rule):
        AdaptiveSpan(*values)
