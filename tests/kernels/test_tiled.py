"""One softmax over many tiles, against one dense softmax in double precision; and what is kept for its gradient."""

import math

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softmax import Softmax
from ctxext.kernels import blocks, tiles
from ctxext.kernels import tiled as kernel
from ctxext.kernels.gather import gather
from ctxext.kernels.tiles import Tile
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places
from ctxext.position.alibi import Alibi
from ctxext.position.rope import Rope

WIDTH = 8
SCALE = 0.5


def drawn_tile(draw: torch.Generator, start: int, stop: int, first: int, last: int) -> tuple[Tile, Tensor]:
    """Return a tile of any kind, and which of its pairs it shows, bool [1, 1, Q, K]."""
    shape = 1, 1, stop - start, last - first
    kind = int(torch.randint(3, (), generator=draw))
    place = slice(start, stop), slice(first, last)
    if kind == 0:
        return Tile(*place), torch.ones(shape, dtype=torch.bool)
    if kind == 1:
        return Tile(*place, is_causal=True), torch.ones(shape, dtype=torch.bool).tril()
    visible = torch.rand(shape, generator=draw) < 0.5
    return Tile(*place, mask=visible, pairs=lambda: visible), visible


def cuts(draw: torch.Generator, length: int) -> list[tuple[int, int]]:
    """Return `length` cut at random."""
    inner = sorted({int(cut) for cut in torch.randint(1, length, (2,), generator=draw)})
    return list(zip([0, *inner], [*inner, length], strict=True))


@pytest.mark.parametrize("seed", range(60))
def test_any_tiles_are_one_softmax(seed):
    draw = torch.Generator().manual_seed(seed)
    queries, keys = 9 + seed % 5, 6 + seed % 11
    shapes = [(2, 4, queries, WIDTH), *[(2, 2, keys, WIDTH)] * 2, (2, 4, queries, WIDTH), (2, 2, keys, WIDTH)]
    leaves = [torch.randn(shape, generator=draw, dtype=torch.float64).requires_grad_() for shape in shapes]
    q, k, v, other_q, other_k = leaves
    sources = [(q, k, v), (other_q, other_k, v)]  # which share their values
    plan: list[list[Tile]] = [[], []]
    logits = torch.full((2, 4, queries, 2 * keys), -math.inf, dtype=torch.float64)
    products = [SCALE * one @ other.repeat_interleave(2, dim=1).transpose(-1, -2) for one, other, _ in sources]
    for start, stop in cuts(draw, queries):
        for source in (0, 1):
            for first, last in cuts(draw, keys)[seed % 2 :]:
                tile, visible = drawn_tile(draw, start, stop, first, last)
                plan[source].append(tile)
                place = slice(start, stop), slice(source * keys + first, source * keys + last)
                shown = products[source][:, :, start:stop, first:last].masked_fill(~visible, -math.inf)
                logits = logits.clone()
                logits[:, :, place[0], place[1]] = shown
    blind = logits.isneginf().all(dim=-1, keepdim=True)
    weights = logits.masked_fill(blind, 0.0).softmax(dim=-1).masked_fill(blind, 0.0)
    meant = weights @ torch.cat((v, v), dim=2).repeat_interleave(2, dim=1)
    towards = torch.randn(meant.shape, generator=draw, dtype=torch.float64)
    expected = torch.autograd.grad(meant, leaves, towards, allow_unused=True)

    found = kernel.tiled(sources, plan, SCALE)
    gradients = torch.autograd.grad(found, leaves, towards, allow_unused=True)

    torch.testing.assert_close(found, meant)
    for gradient, double in zip(gradients, expected, strict=True):
        zero = torch.zeros(()) if gradient is None else torch.zeros_like(gradient)
        torch.testing.assert_close(zero if gradient is None else gradient, zero if double is None else double)
    with torch.no_grad():
        torch.testing.assert_close(kernel.tiled(sources, plan, SCALE), meant)


def test_gradients_are_made_for_those_alone_that_ask():
    q, k, v = (torch.randn(1, 2, 300, WIDTH) for _ in range(3))
    v.requires_grad_()
    plan = [[Tile(slice(0, 300), slice(0, 300), is_causal=True)]]
    found = kernel.tiled([(q, k, v)], plan, SCALE)
    found.sum().backward()  # whose gradient is one number, expanded
    meant = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=SCALE)
    torch.testing.assert_close(v.grad, torch.autograd.grad(meant.sum(), v)[0])


def test_outputs_lie_so_that_heads_are_joined_without_a_copy():
    heads = [torch.randn(2, 4, 300, WIDTH) for _ in range(3)]
    found = kernel.tiled([tuple(heads)], [[Tile(slice(0, 300), slice(0, 300))]], SCALE)
    assert found.transpose(1, 2).is_contiguous()


class Largest(TorchDispatchMode):
    """Records the numbers of the largest tensor that is made."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for part in made if isinstance(made, tuple | list) else (made,):
            if isinstance(part, Tensor) and part.untyped_storage().nbytes():
                self.numbers = max(self.numbers, part.untyped_storage().nbytes() // part.element_size())
        return made


def saved_by(action) -> tuple[Tensor, int]:
    """Return what `action` returns, and how many numbers autograd keeps for it, each storage counted once."""
    kept: dict[int, int] = {}

    def pack(part: Tensor) -> Tensor:
        kept[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes() // part.element_size()
        return part

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda part: part):
        return action(), sum(kept.values())


LONG = 4096


@pytest.mark.parametrize(
    ("mask", "attention"),
    [
        (SlidingWindow(64), Softmax()),
        (Sinks(64, 4), Softmax()),
        (IntraDocument(), SelfExtend(64, 8)),
    ],
    ids=repr,
)
def test_nothing_grows_with_the_square_of_the_length(mask, attention):
    heads = [torch.randn(1, 1, LONG, WIDTH, requires_grad=True) for _ in range(3)]
    rows = Places.of(torch.arange(LONG)[None])
    with Largest() as largest:
        found, kept = saved_by(lambda: gather(*heads, rows, rows, attention.views(mask), Rope(1e4), None))
        found.sum().backward()
    assert largest.numbers <= 8 * LONG * WIDTH
    assert kept <= 64 * LONG * WIDTH


def test_every_mask_and_packed_documents_are_read_without_a_tensor_of_all_pairs(each_mask):
    length = 2304
    heads = [torch.randn(1, 4, length, WIDTH, requires_grad=True) for _ in range(3)]
    columns = torch.arange(length)[None]
    for rows in (Places.of(columns), Places.of(columns % 1000, columns // 1000)):
        for position in (Rope(1e4), Alibi()):
            with Largest() as largest:
                views = Softmax().views(each_mask.layer(0, 2))
                found, kept = saved_by(lambda: gather(*heads, rows, rows, views, position, None))  # noqa: B023
                found.sum().backward()
            assert largest.numbers < length * length
            assert kept < length * length


def test_blocks_and_tiles_agree(monkeypatch):
    heads = [torch.randn(2, 4, 70, WIDTH, dtype=torch.float64) for _ in range(3)]
    rows = Places.of(torch.arange(70).repeat(2, 1))
    monkeypatch.setattr(tiles, "BLOCK", 16)
    monkeypatch.setattr(blocks, "BLOCK", 16)
    for mask in (SlidingWindow(20), Sinks(13, 3)):
        sources = [(view, *heads) for view in mask.views()]
        plan = [tiles.tiles_of(view, rows, rows, Rope(1e4), heads[0]) for view in mask.views()]
        found = kernel.tiled([tuple(heads)] * len(sources), plan, WIDTH**-0.5)
        meant = blocks.by_blocks(blocks.one_block, sources, rows, rows, Rope(1e4))
        torch.testing.assert_close(found, meant, rtol=1e-5, atol=1e-6)
