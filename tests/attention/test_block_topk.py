import pytest
import torch

from ctxext.attention.block_topk import BlockTopk
from ctxext.attention.softmax import Softmax
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.refusal import Refusal

LENGTH, BLOCK = 30, 4
DISTANCES = torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)
PAST = DISTANCES >= 0


def best(logits: torch.Tensor, top_k: int) -> torch.Tensor:
    """Return MoBA's visible pairs, query by query: a query times a mean of keys is its mean logit over them."""
    visible = torch.zeros(logits.shape, dtype=torch.bool)
    for row, head, query in torch.cartesian_prod(*(torch.arange(size) for size in logits.shape[:3])).tolist():
        own = query // BLOCK
        means = [logits[row, head, query, at * BLOCK : (at + 1) * BLOCK].mean().item() for at in range(own)]
        chosen = [own, *sorted(range(own), key=lambda block: -means[block])[: top_k - 1]]
        for block in chosen:
            visible[row, head, query, block * BLOCK : (block + 1) * BLOCK] = True
    return visible & PAST


@pytest.mark.parametrize("top_k", [1, 2, 3, 7])
def test_a_query_sees_its_own_block_and_the_best_before_it(top_k, drawn_heads, gathered, dense, logits, agree):
    heads = drawn_heads(LENGTH)
    visible = best(logits(heads, DISTANCES), top_k)
    agree(heads, gathered(BlockTopk(BLOCK, top_k), heads), dense(heads, DISTANCES, visible))


def test_it_reads_through_a_window_and_a_cache(drawn_heads, gathered, dense, logits, last_queries):
    heads = drawn_heads(LENGTH)
    visible = best(logits(heads, DISTANCES), 3) & (DISTANCES < 11)
    found = gathered(BlockTopk(BLOCK, 3), last_queries(heads, 5), mask=SlidingWindow(11))
    torch.testing.assert_close(found, dense(heads, DISTANCES, visible)[:, :, -5:], rtol=1e-4, atol=1e-5)
    wide = gathered(BlockTopk(BLOCK, 3), heads, mask=SlidingWindow(LENGTH))  # a band of all keys is no whole past
    torch.testing.assert_close(wide, gathered(BlockTopk(BLOCK, 3), heads), rtol=1e-4, atol=1e-5)


def test_queries_scored_a_few_at_a_time_find_their_own_blocks(drawn_heads, gathered, monkeypatch):
    heads = drawn_heads(LENGTH)
    expected = gathered(BlockTopk(BLOCK, 2), heads)
    monkeypatch.setattr("ctxext.kernels.tiles.BLOCK", 7)
    torch.testing.assert_close(gathered(BlockTopk(BLOCK, 2), heads), expected, rtol=1e-4, atol=1e-5)


def test_blocks_of_the_future_take_no_place_from_those_of_the_past(drawn_heads, gathered):
    heads = drawn_heads(LENGTH)
    tempting = heads.k.detach().clone()
    tempting[:, :, 20:] = 100 * heads.q[:, ::2, 20:].detach()
    before = gathered(BlockTopk(BLOCK, 2), heads)
    after = gathered(BlockTopk(BLOCK, 2), heads.__class__(heads.q, tempting, heads.v, (), heads.x, heads.project))
    assert torch.equal(before[:, :, :20], after[:, :, :20])


def values_seen(gathered, heads, top_k: int) -> torch.Tensor:
    """Return which tokens [S, S] the first row's first head gathers from, by values that are unit vectors."""
    units = torch.eye(LENGTH, dtype=torch.float64).expand(2, 2, -1, -1)
    spread = heads.__class__(heads.q, heads.k, units, (), heads.x, heads.project)
    return gathered(BlockTopk(BLOCK, top_k), spread)[0, 0] > 0


def test_each_query_looks_into_as_many_blocks_as_there_are_up_to_k(drawn_heads, gathered):
    seen = values_seen(gathered, drawn_heads(LENGTH), 3)
    for query in range(LENGTH):
        blocks = set((seen[query].nonzero()[:, 0] // BLOCK).tolist())
        assert len(blocks) == min(3, query // BLOCK + 1)
        assert query // BLOCK in blocks


def test_at_equal_scores_the_earlier_block_is_chosen(drawn_heads, gathered):
    heads = drawn_heads(LENGTH)
    heads.q.data.zero_()
    seen = values_seen(gathered, heads, 3)
    assert (seen[25].nonzero()[:, 0]).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 24, 25]


def test_blocks_begin_anew_with_each_document(drawn_heads, gathered):
    heads, lengths = drawn_heads(LENGTH), (3, 17, 10)
    documents = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))
    packed = gathered(BlockTopk(BLOCK, 2), heads, documents=documents).split(lengths, dim=2)
    for number, found in enumerate(packed):
        start, stop = sum(lengths[:number]), sum(lengths[: number + 1])
        parts = [part[:, :, start:stop] for part in (heads.q, heads.k, heads.v)]
        alone = gathered(BlockTopk(BLOCK, 2), heads.__class__(*parts, (), heads.x, heads.project))
        torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 4, 5, LENGTH])
def test_with_as_many_places_as_blocks_it_is_softmax_to_the_bit(length, drawn_heads, gathered):
    heads = drawn_heads(length)
    off = BlockTopk(BLOCK, 2).off(length)
    assert torch.equal(gathered(off, heads), gathered(Softmax(), heads))
    assert off == BlockTopk(BLOCK, -(-length // BLOCK))
    assert off.base() == Softmax()


@pytest.mark.parametrize(("settings", "message"), [((0, 2), "block .* 1 token, got 0"), ((4, 0), "top_k .* got 0")])
def test_settings_without_a_meaning_are_refused(settings, message):
    with pytest.raises(Refusal, match=rf"attention\.{message}"):
        BlockTopk(*settings)
