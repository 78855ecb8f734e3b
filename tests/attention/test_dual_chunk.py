import pytest
import torch

from ctxext.attention.dual_chunk import DualChunk
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places
from ctxext.refusal import Refusal

LENGTH, TRAINED = 51, 16
CHUNK, LOCAL = 12, 2  # 3/4 and 1/8 of the trained length
PAST = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()


def table() -> torch.Tensor:
    """Return the distances of the paper (its equations 2 to 4), pair by pair."""
    size = CHUNK - LOCAL
    distances = torch.zeros(LENGTH, LENGTH)
    for query in range(LENGTH):
        for key in range(query + 1):
            apart = query // size - key // size
            if apart == 0:
                distances[query, key] = query - key
            elif apart == 1:
                distances[query, key] = min(query % size + size, CHUNK) - key % size
            else:
                distances[query, key] = CHUNK - key % size
    return distances


def test_one_softmax_runs_over_all_chunks_at_the_distances_of_the_paper(drawn_heads, gathered, dense, agree):
    heads = drawn_heads(LENGTH)
    agree(heads, gathered(DualChunk(CHUNK, LOCAL, 1.0), heads), dense(heads, table(), PAST))


def test_the_factor_multiplies_the_logits_by_its_square(drawn_heads, gathered, dense, agree):
    heads = drawn_heads(LENGTH)
    agree(heads, gathered(DualChunk(CHUNK, LOCAL, 1.1), heads), dense(heads, table(), PAST, 1.21))


def test_each_pair_is_scored_once_and_the_local_ones_across_a_border_are_exact():
    places, scored = Places.of(torch.arange(LENGTH)[None]), torch.full((LENGTH, LENGTH), -1.0)
    for view in DualChunk(CHUNK, LOCAL, 1.0).views(IntraDocument()):
        turned = view.turn_queries(places)[0, :, None] - view.turn_keys(places)[0, None, :]
        seen = view.visible(places, places)[0, 0]
        assert (scored[seen] == -1).all()
        scored[seen] = turned[seen].float()
    assert ((scored >= 0) == PAST).all()
    assert scored.max() == CHUNK < TRAINED
    # Query 12 is the third of its chunk: the distances to the chunk before are still its own.
    assert scored[12, :13].tolist() == [float(12 - key) for key in range(13)]
    assert scored[13, 9] == 3


def test_it_reads_through_a_window_and_a_cache(drawn_heads, gathered, dense, last_queries):
    heads = drawn_heads(LENGTH)
    times = torch.arange(LENGTH)
    expected = dense(heads, table(), PAST & (times[:, None] - times < 25))
    found = gathered(DualChunk(CHUNK, LOCAL, 1.0), last_queries(heads, 7), mask=SlidingWindow(25))
    torch.testing.assert_close(found, expected[:, :, -7:], rtol=1e-4, atol=1e-5)


def test_it_differs_from_softmax_below_the_trained_length_and_claims_no_neutral_setting(drawn_heads, gathered):
    heads = drawn_heads(TRAINED)
    member = DualChunk(CHUNK, LOCAL, 1.0)
    assert not torch.allclose(gathered(member, heads), gathered(Softmax(), heads), atol=1e-3)
    assert (member.base(), member.off(TRAINED), member.period()) == (Softmax(), None, CHUNK - LOCAL)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((12, 0, 1.0), r"attention\.local must be at least 1 token, got 0"),
        ((4, 4, 1.0), r"attention\.chunk must be above attention\.local=4, got 4"),
        ((12, 2, 0.0), r"attention\.attention_factor must be above 0, got 0"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings, message):
    with pytest.raises(Refusal, match=message):
        DualChunk(*settings)
