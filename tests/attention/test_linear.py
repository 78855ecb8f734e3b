import pytest
import torch

from ctxext.attention.linear import Linear, positive
from ctxext.kernels import linear as kernel
from ctxext.mask.document import IntraDocument
from ctxext.places import Places
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope
from ctxext.position.xpos import XPos
from ctxext.seams import Heads

ROPE, XPOS = Rope(10000.0), XPos(10000.0, 8.0)


def together(places: Places):
    """Return bool [B, 1, T, T]: the key lies before the query in its document, or is its own."""
    return (places.documents[:, None, :, None] == places.documents[:, None, None, :]).tril()


@pytest.mark.parametrize("rows", [((40,), (40,)), ((1, 30, 9), (23, 2, 15))])
@pytest.mark.parametrize("chunk", [8, 128])
@pytest.mark.parametrize("position", [ROPE, Nope()], ids=["rope", "nope"])
def test_weights_are_phi_of_the_query_times_phi_of_the_key_over_their_sum(
    position, chunk, rows, offered, packed, turned, compare, monkeypatch
):
    monkeypatch.setattr(kernel, "CHUNK", chunk)
    heads, places = offered(2, 40), packed(*rows)

    def meant(q, k, v):
        q, k = torch.nn.functional.elu(q) + 1, torch.nn.functional.elu(k) + 1
        total = (torch.einsum("bhqd,bhkd->bhqk", q, k) * together(places)).sum(dim=-1, keepdim=True)
        if position is ROPE:
            q, k = turned(q, places.positions), turned(k, places.positions)
        return torch.einsum("bhqd,bhkd,bhqk,bhke->bhqe", q, k, together(places) / total, v)

    compare(Linear().gather(heads, places, places, position, IntraDocument()), heads, meant)


def test_what_weights_are_divided_by_is_above_0_whatever_the_rotation(offered):
    # 22 tokens are half a turn of the fastest pair: turned products of 1 and -0.99996 add up to hardly anything.
    heads, places = offered(1, 2), Places.of(torch.tensor([[0, 22]]))
    for tensor in (heads.q, heads.k):
        tensor.data.fill_(-200.0)
        tensor.data[..., 0] = 0.0  # phi is 1 there, and 0 elsewhere
    heads.v.data[:, :, 0], heads.v.data[:, :, 1] = 1.0, -1.0
    found = Linear().gather(heads, places, places, ROPE, IntraDocument())
    assert found[0, :, 1].flatten().tolist() == pytest.approx([-0.99998] * 32, abs=1e-5)


def test_phi_is_elu_plus_1_and_above_0_where_elu_rounds_to_minus_1():
    x = torch.tensor([-40.0, -1.0, 0.0, 2.0], requires_grad=True)
    assert positive(x).tolist() == pytest.approx([4.248354e-18, 0.36787944, 1.0, 3.0])
    assert positive(x).min() > 0
    (gradient,) = torch.autograd.grad(positive(x).sum(), x)
    assert gradient.tolist() == pytest.approx([4.248354e-18, 0.36787944, 1.0, 1.0])


def test_very_negative_heads_give_finite_outputs_and_gradients(offered):
    heads, places = offered(1, 10), Places.of(torch.arange(10)[None])
    heads.q.data.fill_(-200.0)
    heads.k.data.fill_(-200.0)
    found = Linear().gather(heads, places, places, ROPE, IntraDocument())
    found.sum().backward()
    assert found.isfinite().all()
    assert all(tensor.grad.isfinite().all() for tensor in (heads.q, heads.k, heads.v))


def test_keys_are_turned_as_keys(offered):
    # xPos shrinks keys where it stretches queries: turned alike, labels could not shift.
    heads, attention = offered(1, 20), Linear()
    here, there = (Places.of(torch.arange(20)[None] + start) for start in (0, 50))
    found = [attention.gather(heads, places, places, XPOS, IntraDocument()) for places in (here, there)]
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("start", [17, 39])
def test_queries_after_a_cache_gather_what_the_whole_row_gathers(start, offered, last):
    heads, places = offered(1, 40), Places.of(torch.arange(40)[None])
    whole = Linear().gather(heads, places, places, ROPE, IntraDocument())
    tail = Linear().gather(last(heads, start), places.part(start, 40), places, ROPE, IntraDocument())
    torch.testing.assert_close(tail, whole[:, :, start:], rtol=1e-4, atol=1e-5)


def test_under_autocast_the_sums_keep_single_precision(offered):
    rough, places = offered(1, 400, torch.bfloat16), Places.of(torch.arange(400)[None])
    same = Heads(rough.q.float(), rough.k.float(), rough.v.float(), (), rough.x, rough.project)
    exact = Linear().gather(same, places, places, ROPE, IntraDocument())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = Linear().gather(rough, places, places, ROPE, IntraDocument())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, rtol=2**-8, atol=1e-6)
