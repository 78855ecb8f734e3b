import pytest
import torch

from ctxext.attention.gated import Gated
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal
from ctxext.seams import Sizes

ROPE, GATES = Rope(10000.0), ("element", "head")


@pytest.mark.parametrize("gate", GATES)
def test_what_softmax_gathers_is_multiplied_by_the_gate_of_its_token_and_head(gate, offered, packed, grown):
    heads, places, layer = offered(2, 40), packed((1, 30, 9), (23, 2, 15)), grown(Gated(gate), 1)
    found = layer.gather(heads, places, places, ROPE, SlidingWindow(7))
    plain = Softmax().gather(heads, places, places, ROPE, SlidingWindow(7))
    weight = layer.g_proj.weight.double()
    for head in range(4):
        rows = slice(8 * head, 8 * head + 8) if gate == "element" else slice(head, head + 1)
        opened = 2 / (1 + (-heads.x.double() @ weight[rows].T).exp())
        torch.testing.assert_close(found[:, head].double(), plain[:, head].double() * opened, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("gate", GATES)
def test_it_begins_as_its_base_to_the_bit(gate, dtype, offered):
    # The paper's gate would begin at a half.
    heads, places = offered(1, 40, dtype), Places.of(torch.arange(40)[None])
    layer = Gated(gate).grown(Sizes(12, 2, 4, 2, 8), Softmax()).layer(0, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        found = layer.gather(heads, places, places, ROPE, IntraDocument())
        assert torch.equal(found, Softmax().gather(heads, places, places, ROPE, IntraDocument()))
    found.sum().backward()
    assert layer.g_proj.weight.grad.any()
    assert Gated(gate).base() == Softmax()


def test_after_a_cache_the_gates_are_those_of_the_queries(offered, grown, last):
    heads, places, layer = offered(1, 40), Places.of(torch.arange(40)[None]), grown(Gated("element"), 0)
    whole = layer.gather(heads, places, places, ROPE, IntraDocument())
    tail = layer.gather(last(heads, 37), places.part(37, 40), places, ROPE, IntraDocument())
    torch.testing.assert_close(tail, whole[:, :, 37:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("gate", "rows"), [("element", 32), ("head", 4)])
def test_every_layer_has_gates_of_its_own(gate, rows):
    part = Gated(gate).grown(Sizes(12, 2, 4, 2, 8), None)
    assert {name: tuple(value.shape) for name, value in part.named_parameters()} == {
        "layers.0.g_proj.weight": (rows, 12),
        "layers.1.g_proj.weight": (rows, 12),
    }


def test_an_unknown_gate_is_refused():
    with pytest.raises(Refusal, match=r"attention\.gate must be element or head, got 'layer'"):
        Gated("layer")
