"""FlexAttention, uncompiled on a CPU, against a dense softmax in double precision over the pairs that a view shows."""

import pytest
import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softcap import SoftCap
from ctxext.kernels import flex
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places
from ctxext.position.alibi import Alibi
from ctxext.position.kerple import Kerple
from ctxext.position.nope import Nope
from ctxext.seams import Sizes, View

WIDTH = 16
NONE = Nope()
LENGTHS = (30, 1, 9)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(flex, "BLOCK", 8)
    monkeypatch.setattr(torch.nn.attention.flex_attention, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)


def packed(rows: list[tuple[int, ...]]) -> Places:
    positions = torch.stack([torch.cat([torch.arange(length) for length in lengths]) for lengths in rows])
    numbers = [torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)) for lengths in rows]
    return Places.of(positions, torch.stack(numbers))


def drawn(count: int, length: int) -> list[Tensor]:
    draw = torch.Generator().manual_seed(5)
    return [
        torch.randn(2, heads, size, WIDTH, generator=draw) for heads, size in ((4, count), (2, length), (2, length))
    ]


def oracle(heads: list[Tensor], views: tuple[View, ...], queries: Places, keys: Places, slopes: list[float]) -> Tensor:
    """Return the outputs of one softmax over the pairs of `views`, whose logits lose slope x distance."""
    q, k, v = (part.double() for part in heads)
    k, v = (part.repeat_interleave(2, dim=1) for part in (k, v))
    total = torch.zeros(2, 4, q.shape[2], k.shape[2], dtype=torch.float64)
    for view in views:
        visible = view.visible(queries, keys).expand(total.shape)
        if keys.documents is not None:
            visible = visible & (queries.documents[:, None, :, None] == keys.documents[:, None, None, :])
        logits = q @ k.mT / WIDTH**0.5
        if view.cap:
            logits = view.cap * torch.tanh(logits / view.cap)
        gap = view.turn_queries(queries)[:, None, :, None] - view.turn_keys(keys)[:, None, None, :]
        total += (logits - torch.tensor(slopes)[:, None, None] * gap).exp() * visible
    return (total / total.sum(dim=-1, keepdim=True)) @ v


def compare(views: tuple[View, ...], keys: Places, position=NONE, slopes=(0.0, 0.0, 0.0, 0.0), start: int = 0) -> None:
    length = keys.columns.shape[0]
    heads, queries = drawn(length - start, length), keys.part(start, length)
    found = flex.flexed([(view, *heads) for view in views], queries, keys, position, WIDTH**-0.5)
    assert found is not None
    torch.testing.assert_close(found.double(), oracle(heads, views, queries, keys, slopes), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("start", [0, 21])
def test_every_mask_shows_what_its_predicate_shows(each_mask, start):
    for keys in (Places.of(torch.arange(40).expand(2, 40)), packed([LENGTHS, (9, 30, 1)])):
        views = each_mask.layer(0, 4).views()
        if not any(view.weigh for view in views):
            compare(views, keys, start=start)
        for view in views:
            queries = keys.part(start, 40)
            visible = view.visible(queries, keys).expand(2, -1, -1, -1)
            if keys.documents is not None:
                visible = visible & (queries.documents[:, None, :, None] == keys.documents[:, None, None, :])
            looked_at = flex.block_mask(view, queries, keys).to_dense().bool()  # uncompiled, all are
            for row, _, query, key in visible.nonzero().tolist():
                assert looked_at[row, 0, query // 8, key // 8]


def test_a_bias_by_slopes_a_cap_and_turned_positions_count():
    slopes = (1 / 4, 1 / 16, 1 / 64, 1 / 256)
    keys = packed([LENGTHS, (9, 30, 1)])
    compare(SoftCap(1.5).views(SlidingWindow(11)), keys, Alibi(), slopes)
    compare(SelfExtend(8, 3).views(IntraDocument()), keys, Alibi(), slopes)


def test_blocks_out_of_reach_are_not_looked_at():
    (view,) = SlidingWindow(9).views()
    single = flex.block_mask(view, *[Places.of(torch.arange(64)[None])] * 2)
    assert single.kv_num_blocks.flatten().tolist() == [1, 2, 2, 2, 2, 2, 2, 2]
    assert single.kv_indices[0, 0, 5, :2].tolist() == [4, 5]
    (view,) = IntraDocument().views()
    documents = flex.block_mask(view, *[packed([(24, 40)])] * 2)
    assert documents.kv_num_blocks.flatten().tolist() == [1, 2, 3, 1, 2, 3, 4, 5]
    assert documents.kv_indices[0, 0, 4, :2].tolist() == [3, 4]


def test_what_is_not_known_of_a_pair_alone_is_left_to_the_portable_path_with_a_word():
    torch.manual_seed(0)
    learned = Kerple("log").grown(Sizes(64, 1, 4, 2, WIDTH), None).layer(0, 1)
    keys = Places.of(torch.arange(8).expand(2, 8))
    heads = drawn(8, 8)
    (view,) = IntraDocument().views()
    with pytest.warns(UserWarning, match="the portable path, which is slower: the position adds more than a multiple"):
        assert flex.flexed([(view, *heads)], keys, keys, learned, 1.0) is None


def test_a_kernel_that_cannot_be_compiled_is_tried_once(monkeypatch):
    def kernel(*_, **__):
        raise TorchDynamoException("no such view\nand a long trace")

    monkeypatch.setattr(flex, "failures", [])
    monkeypatch.setattr(flex, "flex_attention", kernel)
    keys = Places.of(torch.arange(8).expand(2, 8))
    sources = [(view, *drawn(8, 8)) for view in IntraDocument().views()]
    with pytest.warns(UserWarning, match=r"FlexAttention can't be compiled: no such view$"):
        assert flex.flexed(sources, keys, keys, NONE, 1.0) is None
    monkeypatch.setattr(flex, "flex_attention", None)
    with pytest.warns(UserWarning, match="no such view"):
        assert flex.flexed(sources, keys, keys, NONE, 1.0) is None
