"""Folded biases against a dense softmax in double precision, written from the paper, that shares no code with them."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as attend

from ctxext.attention.softcap import SoftCap
from ctxext.kernels import folded as kernel
from ctxext.kernels.gather import gather
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places
from ctxext.position.alibi import Alibi
from ctxext.position.nope import Nope

THIRDS = [1 / 3, 0.7, 1 / 50, 1 / 700]
"""Slopes that no float holds."""


def drawn(*shapes: tuple[int, ...]) -> list[Tensor]:
    draw = torch.Generator().manual_seed(7)
    return [torch.randn(shape, generator=draw).requires_grad_() for shape in shapes]


def oracle(q: Tensor, k: Tensor, v: Tensor, here: Tensor, there: Tensor, slopes: list[float]) -> Tensor:
    """Return the outputs of queries at positions `here` [Q] over the keys at `there` [K] up to their own."""
    sharing = [head * k.shape[1] // q.shape[1] for head in range(q.shape[1])]
    distance = (here[:, None] - there).double()
    logits = torch.einsum("bhqd,bhkd->bhqk", q, k[:, sharing]) / q.shape[-1] ** 0.5
    logits = logits - torch.tensor(slopes, dtype=torch.float64)[:, None, None] * distance
    return logits.masked_fill(distance < 0, -torch.inf).softmax(dim=-1) @ v[:, sharing]


@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize("groups", [4, 2, 1])
def test_outputs_and_gradients_are_those_of_a_dense_softmax(width, groups):
    inputs = drawn((1, 4, 60, width), (1, groups, 60, width), (1, groups, 60, width))
    doubles = [heads.detach().double().requires_grad_() for heads in inputs]
    row = torch.cat((torch.arange(25), torch.arange(900, 935)))  # as where positions are sampled
    q, k, v = kernel.folded(*inputs, Places.of(row[None]), Places.of(row[None]), torch.tensor(THIRDS))
    found = attend(q, k, v, is_causal=True, scale=kernel.SCALE, enable_gqa=True)[..., :width]
    meant = oracle(*doubles, row, row, THIRDS)
    torch.testing.assert_close(found.double(), meant, rtol=0, atol=3e-6)
    found.sin().sum().backward()
    meant.sin().sum().backward()
    for heads, double in zip(inputs, doubles, strict=True):
        torch.testing.assert_close(heads.grad.double(), double.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [24, 64])
@pytest.mark.parametrize("length", [2048, 16384, 65536])
def test_errors_do_not_grow_with_the_distance_from_the_origin(length, width):
    here, there = torch.arange(7, length, length // 16), torch.arange(length)
    with torch.no_grad():
        inputs = drawn((1, 4, len(here), width), (1, 1, length, width), (1, 1, length, width))
        q, k, v = kernel.folded(*inputs, Places.of(here[None]), Places.of(there[None]), torch.tensor(THIRDS))
        found = attend(q, k, v, attn_mask=(there <= here[:, None])[None, None], scale=kernel.SCALE, enable_gqa=True)[
            ..., :width
        ]
        meant = oracle(*(heads.double() for heads in inputs), here, there, torch.tensor(THIRDS).tolist())
    torch.testing.assert_close(found.double(), meant, rtol=0, atol=4e-6)


def test_few_queries_left_over_at_the_end_of_a_long_document_are_exact():
    length = 3 * 64 + 3  # 3 after whole blocks
    positions = torch.cat((torch.arange(50_000, 50_000 + length), torch.zeros(1, dtype=torch.int64)))
    places = Places.of(positions[None], torch.tensor([[0] * length + [1]]))
    with torch.no_grad():
        inputs = drawn((1, 4, length + 1, 8), (1, 4, length + 1, 8), (1, 4, length + 1, 8))
        q, k, v = kernel.folded(*inputs, places, places, torch.tensor(THIRDS))
        found = attend(*(heads[:, :, :length] for heads in (q, k, v)), is_causal=True, scale=kernel.SCALE)[..., :8]
        one, slopes = places.positions[0, :length], torch.tensor(THIRDS).tolist()
        meant = oracle(*(heads[:, :, :length].double() for heads in inputs), one, one, slopes)
    torch.testing.assert_close(found.double(), meant, rtol=0, atol=3e-6)


def test_a_text_far_on_is_gathered_as_at_its_beginning():
    q, k, v = drawn((1, 4, 100, 8), (1, 4, 100, 8), (1, 4, 100, 8))
    rows = [Places.of(torch.arange(100)[None] + start) for start in (0, 10**9)]
    near, far = (gather(q, k, v, row, row, IntraDocument().views(), Alibi(), None) for row in rows)
    assert torch.equal(near, far)


def test_a_machine_that_sums_in_another_order_is_found_out_and_folds_nothing(monkeypatch):
    assert kernel.sums_in_order()
    q = torch.zeros(1, 4, 64, 8)
    assert kernel.slopes_to_fold(Alibi(), q).tolist() == [1 / 4, 1 / 16, 1 / 64, 1 / 256]

    def last_first(*heads: Tensor, is_causal: bool, scale: float) -> Tensor:
        return attend(*(part.roll(-kernel.WIDER, -1) for part in heads), is_causal=is_causal, scale=scale).roll(
            kernel.WIDER, -1
        )

    monkeypatch.setattr(kernel, "attend", last_first)
    monkeypatch.setattr(kernel, "sums_in_order", kernel.sums_in_order.__wrapped__)
    assert not kernel.sums_in_order()
    assert kernel.slopes_to_fold(Alibi(), q) is None


def test_the_trial_leaves_the_seeded_generator_alone():
    before = torch.get_rng_state()
    kernel.sums_in_order.__wrapped__()
    assert torch.equal(torch.get_rng_state(), before)


def test_what_cannot_be_folded_exactly_or_does_not_pay_is_not():
    q = torch.zeros(1, 4, 64, 8)
    assert kernel.slopes_to_fold(Nope(), q) is None
    assert kernel.slopes_to_fold(Alibi(), q.bfloat16()) is None
    assert kernel.slopes_to_fold(Alibi(), q[:, :, :1]) is None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert kernel.slopes_to_fold(Alibi(), q) is None


@pytest.mark.parametrize("attention", [None, SoftCap(5.0)], ids=["plain", "capped"])
@pytest.mark.parametrize("start", [0, 20, 99])
def test_a_part_of_the_queries_gathers_what_a_whole_row_does_by_a_mask(start, attention, monkeypatch):
    q, k, v = drawn((2, 4, 100, 8), (2, 2, 100, 8), (2, 2, 100, 8))
    keys = Places.of(torch.arange(100).expand(2, 100))
    views = SlidingWindow(50).views() if attention is None else attention.views(SlidingWindow(50))
    queries = keys.part(start, 100)
    found = gather(q[:, :, start:], k, v, queries, keys, views, Alibi(), None)
    monkeypatch.setattr(kernel, "FEWEST", 1000)
    meant = gather(q, k, v, keys, keys, views, Alibi(), None)[:, :, start:]
    torch.testing.assert_close(found, meant, rtol=1e-5, atol=2e-6)


def test_pieces_are_short_and_add_up():
    numbers = torch.tensor([1 / 3, 2.0**-8, 5.6])
    found = kernel.pieces(numbers)
    assert torch.equal(found.sum(dim=-1), numbers.double())
    for piece in found[:, :-1].flatten().tolist():
        assert (abs(piece).as_integer_ratio()[0]).bit_length() <= kernel.BITS + 1


def test_single_precision_holds_every_product_of_a_piece_and_a_far_position():
    found = kernel.pieces(torch.tensor(THIRDS)).float()
    for position in (2**16 - 1, 54321):
        assert torch.equal((found * position).double(), found.double() * position)
