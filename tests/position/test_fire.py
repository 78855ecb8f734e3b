import math

import pytest
import torch

from ctxext.places import Places
from ctxext.position.fire import Fire, FireLayer
from ctxext.refusal import Refusal
from ctxext.seams import Sizes

SIZES = Sizes(24, 2, 4, 2, 8)


def layer(floor: int = 8, index: int = 0) -> FireLayer:
    torch.manual_seed(0)
    grown = Fire(floor, 32).grown(SIZES, None).layer(index, 2)
    assert isinstance(grown, FireLayer)
    return grown


def at(positions: list[int]) -> Places:
    return Places.of(torch.tensor([positions]))


def oracle(learned: FireLayer, query: int, key: int, head: int) -> float:
    """The formula of the paper in double precision, a hidden unit at a time."""
    rate, floor = abs(learned.rate.item()), abs(learned.stretch.item() * learned.floor)
    share = math.log(1 + rate * (query - key)) / (math.log(1 + rate * max(query, floor)) + 1e-6)
    first, last = learned.first, learned.last
    total = last.bias[head].item()
    for unit in range(32):
        hidden = first.weight[unit, 0].item() * share + first.bias[unit].item()
        total += last.weight[head, unit].item() * max(hidden, 0.0)
    return total


@pytest.mark.parametrize(("rate", "stretch"), [(0.1, 1.0), (-0.3, -2.0)])
def test_the_bias_is_the_formula_of_the_paper(rate, stretch):
    learned = layer()
    with torch.no_grad():
        learned.rate.fill_(rate)
        learned.stretch.fill_(stretch)
    queries, keys = [3, 12, 40, 900], [0, 2, 3]
    found = learned.bias(at(queries), at(keys), 4)
    assert found.shape == (1, 4, 4, 3)
    assert found.dtype == torch.float32
    for row, query in enumerate(queries):
        for column, key in enumerate(keys):
            wanted = [oracle(learned, query, key, head) for head in range(4)]
            assert found[0, :, row, column].tolist() == pytest.approx(wanted, abs=1e-5)


def test_it_begins_with_the_paper_s_c_and_m():
    assert layer().rate.item() == pytest.approx(0.1)
    assert layer().stretch.item() == 1


def test_below_the_floor_distances_count_as_they_are_and_beyond_as_shares():
    learned = layer(floor=32)
    near = learned.bias(at([5, 20, 32]), at([0]), 4), learned.bias(at([7, 22, 34]), at([2]), 4)
    assert torch.equal(near[0][:, :, :2], near[1][:, :, :2])
    assert not torch.allclose(near[0][:, :, 2], near[1][:, :, 2])


def test_a_query_sees_the_far_end_of_its_text_alike_wherever_it_stands():
    learned = layer()
    found = learned.bias(at([64, 1024, 65536]), at([0]), 4)
    torch.testing.assert_close(found[:, :, 0], found[:, :, 2], rtol=0, atol=1e-4)
    torch.testing.assert_close(found[:, :, 1], found[:, :, 2], rtol=0, atol=1e-4)


def test_the_first_position_with_a_floor_of_next_to_nothing_is_finite():
    learned = layer(floor=1)
    with torch.no_grad():
        learned.stretch.zero_()
    assert learned.bias(at([0]), at([0]), 4).isfinite().all()


def test_values_and_gradients_are_those_of_a_pass_that_keeps_everything():
    learned, queries = layer(), at(list(range(20)))
    with torch.no_grad():
        plain = learned.bias(queries, queries, 4)
    kept = learned.bias(queries, queries, 4)
    assert torch.equal(plain, kept)
    kept.sin().sum().backward()
    found = [parameter.grad.clone() for parameter in learned.parameters()]
    learned.zero_grad()
    learned.function(queries, queries).sin().sum().backward()
    assert all(torch.equal(one, other.grad) for one, other in zip(found, learned.parameters(), strict=True))
    assert all(one.any() for one in found)


def shares(learned: FireLayer, length: int) -> torch.Tensor:
    """The shares of all pairs of a text, by the formula."""
    positions = torch.arange(length)
    gaps = (positions[:, None] - positions[None, :]).clamp(min=0)
    span = torch.maximum(positions, (learned.stretch * learned.floor).abs())
    return torch.log(1 + learned.rate.abs() * gaps) / (torch.log(1 + learned.rate.abs() * span) + 1e-6)[:, None]


@pytest.mark.parametrize("flat", [0, 5, 32])
def test_the_lines_are_the_mlp_with_its_gradients(flat):
    learned, text = layer(), at(list(range(70)))
    with torch.no_grad():
        learned.first.weight[:flat] = 0  # ReLUs that never turn
        learned.first.bias[1] = 0
    weights = torch.randn(4, 70, 70, generator=torch.Generator().manual_seed(3))
    plain = learned.last(learned.first(shares(learned, 70)[..., None]).relu()).permute(2, 0, 1)
    (plain * weights).sum().backward()
    wanted = {name: parameter.grad.clone() for name, parameter in learned.named_parameters()}
    learned.zero_grad()
    found = learned.bias(text, text, 4)[0]
    (found * weights).sum().backward()

    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-5)
    for name, parameter in learned.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-3, atol=1e-3, msg=name)


def test_each_layer_learns_its_own_function():
    assert not torch.equal(layer(index=0).first.weight, layer(index=1).first.weight)
    learned = {"first.weight", "first.bias", "last.weight", "last.bias", "rate", "stretch"}
    assert {name for name, _ in layer().named_parameters()} == learned


def test_it_stays_in_single_precision_under_autocast():
    learned, queries = layer(), at([300, 301])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = learned.bias(queries, queries, 4)
    assert torch.equal(found, learned.bias(queries, queries, 4))


def test_settings_without_a_meaning_are_refused():
    with pytest.raises(Refusal, match=r"position\.normaliser_floor must be above 0, got 0"):
        Fire(0, 32)
    with pytest.raises(Refusal, match=r"position\.hidden_size must be above 0, got -1"):
        Fire(8, -1)
