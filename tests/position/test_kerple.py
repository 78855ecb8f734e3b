import math

import pytest
import torch

from ctxext.places import Places
from ctxext.position.kerple import Kerple, LogKernel, PowerKernel
from ctxext.refusal import Refusal
from ctxext.seams import Sizes

SIZES = Sizes(24, 2, 4, 2, 8)
DISTANCES = [0, 1, 127, 128, 10_000]


def layer(kind: str, index: int = 0, seed: int = 0):
    torch.manual_seed(seed)
    return Kerple(kind).grown(SIZES, None).layer(index, 2)


def bias(learned, distances: list[int]) -> torch.Tensor:
    keys = Places.of(10_000 - torch.tensor([distances]))
    return learned.bias(Places.of(torch.tensor([[10_000]])), keys, 4)


def positive(number: float) -> float:
    return math.log(1 + math.exp(number))


def test_the_log_kernel_is_the_formula_of_the_paper():
    learned = layer("log")
    found = bias(learned, DISTANCES)
    assert found.shape == (1, 4, 1, 5)
    assert found.dtype == torch.float32
    for head in range(4):
        scale, rate = positive(learned.scale[head].item()), positive(learned.rate[head].item())
        wanted = [-scale * math.log(1 + rate * distance) for distance in DISTANCES]
        assert found[0, head, 0].tolist() == pytest.approx(wanted, rel=1e-5)


def test_the_power_kernel_is_the_formula_of_the_paper():
    learned = layer("power")
    found = bias(learned, DISTANCES)
    for head in range(4):
        scale, exponent = positive(learned.scale[head].item()), 2 / (1 + math.exp(-learned.exponent[head].item()))
        wanted = [-scale * distance**exponent for distance in DISTANCES]
        assert found[0, head, 0].tolist() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("kind", ["log", "power"])
def test_logits_fall_with_the_distance_from_0_and_the_future_gains_nothing(kind):
    found = bias(layer(kind), list(range(-3, 60)))[0, :, 0]
    assert (found[:, :4] == 0).all()
    assert (found.diff(dim=1)[:, 3:] < 0).all()


@pytest.mark.parametrize(
    ("kind", "highest"), [("log", {"scale": 2, "rate": 1}), ("power", {"scale": 1, "exponent": 2})]
)
def test_initial_values_fill_the_ranges_of_the_reference(kind, highest):
    torch.manual_seed(0)
    learned = {"log": LogKernel, "power": PowerKernel}[kind](4000)
    for name, most in highest.items():
        raw = getattr(learned, name).detach().double()
        values = 2 * raw.sigmoid() if name == "exponent" else raw.exp().log1p()
        assert 0 < values.min() < 0.02 * most
        assert 0.98 * most < values.max() <= most
        assert values.mean() == pytest.approx(most / 2, rel=0.05)


@pytest.mark.parametrize("kind", ["log", "power"])
def test_rates_stay_positive_and_exponents_below_2_whatever_a_step_does(kind):
    for value in (-20.0, 20.0):
        learned = layer(kind)
        with torch.no_grad():
            for parameter in learned.parameters():
                parameter.fill_(value)
        found = bias(learned, [1, 50])
        assert found.isfinite().all()
        assert (found <= 0).all()
        assert (found >= -(20.1 * 50.0**2)).all()


@pytest.mark.parametrize("kind", ["log", "power"])
def test_gradients_are_finite_at_distance_0_too(kind):
    learned = layer(kind)
    bias(learned, [0, 0, 1, 7]).sum().backward()
    for parameter in learned.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.all()


def test_heads_and_layers_learn_their_own():
    first, second = layer("log", 0), layer("log", 1)
    assert not torch.equal(first.scale, second.scale)
    assert len(set(first.scale.tolist())) == 4
    names = set(Kerple("power").grown(SIZES, None).state_dict())
    assert names == {f"layers.{i}.{part}" for i in range(2) for part in ("scale", "exponent")}


def test_it_stays_in_single_precision_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = bias(layer("log"), [301])
    assert torch.equal(found, bias(layer("log"), [301]))


def test_another_kind_is_refused():
    with pytest.raises(Refusal, match=r"position\.kind must be log or power, got 'exp'"):
        Kerple("exp")
