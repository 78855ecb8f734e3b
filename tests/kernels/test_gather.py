"""The kernel against a dense oracle in double precision, written from the papers, that shares no code with it.

Members of each kind that the kernel tells apart: turned or biased, seen whole, in bands, or in several views. That
every other member is gathered as it should be is the business of its own test.
"""

import math
from itertools import product
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from ctxext.attention.log_n import LogN
from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softmax import Softmax
from ctxext.kernels import blocks, tiles
from ctxext.kernels import gather as kernel
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places
from ctxext.position.alibi import Alibi
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope, RopeInterp, RopeNtk, Yarn
from ctxext.position.sinusoidal import Sinusoidal
from ctxext.seams import Mask, Position

WIDTH = 8
POSITIONS = {
    "rope": Rope(10000.0),
    "rope_interp": RopeInterp(10000.0, 4.0),
    "rope_ntk": RopeNtk(10000.0, 4.0),
    "yarn": Yarn(10000.0, 4.0, 16, 32.0, 1.0, 1.14),
    "alibi": Alibi(),
    "nope": Nope(),
    "sinusoidal": Sinusoidal(10000.0),
}
MASKS = {"document": IntraDocument(), "sliding_window": SlidingWindow(16), "sinks": Sinks(12, 4)}
ATTENTION = {"softmax": Softmax(), "log_n": LogN(16), "self_extend": SelfExtend(8, 7)}


class Composition(NamedTuple):
    position: Position
    mask: Mask
    attention: Softmax


def is_meant(position: str, mask: str, attention: str) -> bool:
    """Return whether the two that turn heads anew meet a position that can be turned, and not each other."""
    turning = (mask == "sinks") + (attention == "self_extend")
    return turning == 0 or (turning == 1 and position not in ("nope", "alibi", "sinusoidal"))


CHOICES = [names for names in product(POSITIONS, MASKS, ATTENTION) if is_meant(*names)]


@pytest.fixture(params=CHOICES, ids="-".join)
def composition(request) -> Composition:
    position, mask, attention = request.param
    return Composition(POSITIONS[position], MASKS[mask], ATTENTION[attention])


def slowed(position, pair: int) -> float:
    """Return the radians a token of `pair`."""
    plain = position.rope_theta ** (-2 * pair / WIDTH)
    if isinstance(position, RopeInterp):
        return plain / position.factor
    if isinstance(position, RopeNtk):
        return (position.rope_theta * position.factor ** (WIDTH / (WIDTH - 2))) ** (-2 * pair / WIDTH)
    if isinstance(position, Yarn):
        limits = []
        for turns, rounded in ((position.beta_fast, math.floor), (position.beta_slow, math.ceil)):
            length = position.original_max_position_embeddings / (2 * math.pi * turns)
            limits.append(rounded(WIDTH * math.log(length) / (2 * math.log(position.rope_theta))))
        low, high = max(limits[0], 0), min(limits[1], WIDTH - 1)
        mix = min(max((pair - low) / (high - low or 0.001), 0), 1)
        return plain / position.factor * mix + plain * (1 - mix)
    assert type(position) is Rope
    return plain


def products(position, q: Tensor, k: Tensor, distance: Tensor) -> Tensor:
    """Return the dot products [B, H, T, T] of heads turned by distance: the real part of q k* e^(iwd) of each pair."""
    if isinstance(position, Nope | Alibi | Sinusoidal):
        return torch.einsum("bhqd,bhkd->bhqk", q, k)
    real_q, imaginary_q = q.split(WIDTH // 2, dim=-1)
    real_k, imaginary_k = k.split(WIDTH // 2, dim=-1)
    total = torch.zeros(distance.shape, dtype=torch.float64)
    for pair in range(WIDTH // 2):
        along = real_q[..., pair, None] * real_k[..., None, :, pair]
        along = along + imaginary_q[..., pair, None] * imaginary_k[..., None, :, pair]
        across = imaginary_q[..., pair, None] * real_k[..., None, :, pair]
        across = across - real_q[..., pair, None] * imaginary_k[..., None, :, pair]
        angle = distance * slowed(position, pair)
        total = total + along * angle.cos() - across * angle.sin()
    return total * getattr(position, "attention_factor", 1.0) ** 2


def visible_and_distance(mask, attention, positions: Tensor, documents: Tensor) -> tuple[Tensor, Tensor]:
    """Return bool and int [B, T, T]: who sees whom, and at which distance the pair is scored."""
    gap = torch.arange(positions.shape[1])[:, None] - torch.arange(positions.shape[1])
    at_query, at_key = positions[:, :, None], positions[:, None, :]
    visible, distance = (gap >= 0) & (documents[:, :, None] == documents[:, None, :]), at_query - at_key
    if isinstance(mask, SlidingWindow):
        visible = visible & (gap < mask.window)
    elif isinstance(mask, Sinks):
        visible = visible & ((gap < mask.window) | (at_key < mask.sinks))
        slot = at_query.clamp(max=mask.sinks + mask.window - 1)
        distance = torch.where(gap < mask.window, distance, slot - at_key)
    else:
        assert isinstance(mask, IntraDocument)
    if isinstance(attention, SelfExtend) and attention.group > 1:
        grouped = at_query // attention.group + attention.window - attention.window // attention.group
        distance = torch.where(gap < attention.window, distance, grouped - at_key // attention.group)
    return visible, distance


def oracle(composition, q: Tensor, k: Tensor, v: Tensor, positions: Tensor, documents: Tensor) -> Tensor:
    """Return the outputs by one dense T x T softmax."""
    heads = q.shape[1]
    sharing = [head * k.shape[1] // heads for head in range(heads)]
    k, v = k[:, sharing], v[:, sharing]
    visible, distance = visible_and_distance(composition.mask, composition.attention, positions, documents)
    visible, distance = visible[:, None], distance[:, None].double().expand(-1, heads, -1, -1)
    logits = products(composition.position, q, k, distance) / math.sqrt(WIDTH)
    if isinstance(composition.attention, LogN):
        counts = visible.sum(dim=-1, keepdim=True).double()
        logits = logits * (counts.log() / math.log(composition.attention.trained_length)).clamp(min=1)
    else:
        assert isinstance(composition.attention, Softmax | SelfExtend)
    if isinstance(composition.position, Alibi):
        slope = torch.tensor([2.0 ** (-8 * (head + 1) / heads) for head in range(heads)], dtype=torch.float64)
        logits = logits - slope[:, None, None] * distance
    return logits.masked_fill(~visible, -math.inf).softmax(dim=-1) @ v


def gathered(composition, q: Tensor, k: Tensor, v: Tensor, positions: Tensor, documents: Tensor | None) -> Tensor:
    """Return the outputs of the kernel."""
    places = Places.of(positions, documents)
    views = composition.attention.views(composition.mask)
    scale = composition.attention.scale(places, places, views)
    return kernel.gather(q, k, v, places, places, views, composition.position, scale)


def packed(*lengths: int) -> tuple[Tensor, Tensor]:
    """Return positions and document numbers [1, T] of documents of `lengths`."""
    positions = torch.cat([torch.arange(length) for length in lengths])
    return positions[None], torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))[None]


def compare(composition, groups: int, rows: list[tuple[Tensor, Tensor]], single: bool) -> None:
    """Compare outputs and gradients of the kernel with those of the oracle."""
    positions, documents = (torch.cat(parts) for parts in zip(*rows, strict=True))
    batch, length = positions.shape
    draw = torch.Generator().manual_seed(3)
    shapes = [(batch, heads, length, WIDTH) for heads in (4, groups, groups)]
    inputs = [torch.randn(shape, generator=draw).mul_(1.5).requires_grad_() for shape in shapes]
    doubles = [tensor.detach().double().requires_grad_() for tensor in inputs]
    towards = torch.randn(shapes[0], generator=draw)
    found = gathered(composition, *inputs, positions, None if single else documents)
    meant = oracle(composition, *doubles, positions, documents)
    torch.testing.assert_close(found.double(), meant, rtol=1e-4, atol=2e-5)
    (found * towards).sum().backward()
    (meant * towards).sum().backward()
    for tensor, double in zip(inputs, doubles, strict=True):
        torch.testing.assert_close(tensor.grad.double(), double.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("groups", [4, 2], ids=["mha", "gqa"])
@pytest.mark.parametrize("block", [16, 256])
def test_a_row_is_gathered_as_by_one_dense_softmax(composition, groups, block, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", block)
    monkeypatch.setattr(tiles, "BLOCK", block)
    compare(composition, groups, [packed(50), packed(50)], single=True)


@pytest.mark.parametrize("groups", [4, 2], ids=["mha", "gqa"])
@pytest.mark.parametrize("block", [16, 256])
def test_packed_documents_are_gathered_as_by_one_dense_softmax(composition, groups, block, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", block)
    monkeypatch.setattr(tiles, "BLOCK", block)
    compare(composition, groups, [packed(1, 30, 19), packed(23, 2, 25)], single=False)


def test_a_row_longer_than_the_block_is_gathered_as_by_one_dense_softmax(composition):
    compare(composition, 2, [packed(kernel.BLOCK + 5)], single=True)
    compare(composition, 2, [packed(100, kernel.BLOCK - 95)], single=False)


def test_queries_that_stand_at_the_end_of_the_keys_gather_what_the_whole_row_gathers(composition):
    torch.manual_seed(0)
    q, k, v = torch.randn(1, 4, 40, WIDTH), torch.randn(1, 2, 40, WIDTH), torch.randn(1, 2, 40, WIDTH)
    keys = Places.of(torch.arange(40)[None])
    views = composition.attention.views(composition.mask)
    whole = gathered(composition, q, k, v, keys.positions, None)
    for start in (0, 17, 39):
        queries = keys.part(start, 40)
        scale = composition.attention.scale(queries, keys, views)
        tail = kernel.gather(q[:, :, start:], k, v, queries, keys, views, composition.position, scale)
        torch.testing.assert_close(tail, whole[:, :, start:], rtol=1e-4, atol=1e-5)


def test_under_autocast_the_bias_keeps_single_precision():
    # Beyond 256 bfloat16 holds no odd number, so that neighbours would weigh the same.
    length = 400
    q, k = (
        torch.zeros(1, 2, length, WIDTH, dtype=torch.bfloat16),
        torch.zeros(1, 2, length, WIDTH, dtype=torch.bfloat16),
    )
    v = torch.zeros(1, 2, length, length, dtype=torch.bfloat16)
    v[0, :] = torch.eye(length)  # the outputs are the weights
    places = Places.of(torch.arange(length)[None])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        weights = kernel.gather(q, k, v, places, places, IntraDocument().views(), Alibi(), None)[0, 1, -1].double()
    slope = 2.0**-8
    meant = torch.softmax(-slope * (length - 1 - torch.arange(length).double()), dim=0)
    torch.testing.assert_close(weights, meant, rtol=2**-8, atol=0)


def test_visible_keys_counts_windows_and_documents():
    positions, documents = packed(5, 7)
    places = Places.of(positions, documents)
    assert kernel.visible_keys(places, places, IntraDocument().views()).tolist() == [[[*range(1, 6), *range(1, 8)]]]
    windowed = kernel.visible_keys(places, places, SlidingWindow(3).views())
    assert windowed.tolist() == [[[1, 2, 3, 3, 3, 1, 2, 3, 3, 3, 3, 3]]]
    sunk = kernel.visible_keys(places, places, Sinks(window=2, sinks=1).views())
    assert sunk.tolist() == [[[1, 2, 3, 3, 3, 1, 2, 3, 3, 3, 3, 3]]]


@pytest.mark.parametrize("lengths", [(12,), (5, 7), (1, 1, 10)])
@pytest.mark.parametrize("start", [0, 4])
def test_what_a_reach_alone_tells_of_visible_keys_is_what_counting_pairs_tells(each_mask, lengths, start, monkeypatch):
    positions, documents = packed(*lengths)
    monkeypatch.setattr(kernel, "BLOCK", 5)
    for documents_or_none in (documents, None):
        keys = Places.of(positions, documents_or_none)
        for window in (each_mask, each_mask.off(3) or each_mask):
            views = window.layer(0, 4).views()
            pairs = [tiles.seen(view, keys, keys).sum(dim=-1)[..., start:] for view in views]
            counted = kernel.visible_keys(keys.part(start, 12), keys, views)
            assert torch.equal(*torch.broadcast_tensors(counted, sum(pairs)))
