"""The formulas, held against tables written by hand."""

import numpy as np
import pytest

from ctxext.attention.dual_chunk import DualChunk
from ctxext.attention.recurrence import Recurrence
from ctxext.attention.rerope import Rerope
from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.shifted_sparse import ShiftedSparse
from ctxext.attention.softmax import Softmax
from ctxext.mask.adaptive_span import AdaptiveSpan
from ctxext.mask.adaptive_window import AdaptiveWindow
from ctxext.mask.causal import Causal
from ctxext.mask.chunked import Chunked
from ctxext.mask.dilated import Dilated
from ctxext.mask.document import IntraDocument
from ctxext.mask.global_local import GlobalLocal
from ctxext.mask.lambda_mask import LambdaMask
from ctxext.mask.layered import Layered
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.proving.predicates import Pairs, distance, restricted, visible


def pairs(length: int, layer: int = 0, layers: int = 1, heads: int = 2) -> Pairs:
    """Return all pairs of `length` tokens."""
    count = np.arange(length)
    return Pairs(count[:, None], count[None, :], layer, layers, heads, np.array([0.25, 0.5]))


def last(shown: np.ndarray, head: int = 0) -> str:
    """Return what the last query sees, a letter for each key."""
    return "".join("A" if sees else "." for sees in shown[head, -1])


@pytest.mark.parametrize(
    ("mask", "seen"),
    [
        (Causal(), "AAAAAAAA"),
        (IntraDocument(), "AAAAAAAA"),
        (SlidingWindow(3), ".....AAA"),
        (Sinks(3, 1), "A....AAA"),
        (LambdaMask(2, 2), "AA....AA"),
        (Chunked(3), "......AA"),
        (GlobalLocal(2, 1, 0, 1, 0), "A.....AA"),
        (GlobalLocal(2, 2, 9, 2, 0), "AAAA..AA"),
        (Dilated(3, [1, 2]), ".....AAA"),
        (AdaptiveWindow(2, 0.5), "....AAAA"),
        (AdaptiveSpan(8, 8, 1, 0.0), ".....AAA"),
    ],
)
def test_the_last_of_eight_tokens_sees_what_the_formula_shows(mask, seen):
    assert last(visible(mask, pairs(8))) == seen


def test_heads_have_grids_and_spans_of_their_own():
    assert last(visible(Dilated(3, [1, 2]), pairs(8)), head=1) == "...A.A.A"
    assert last(visible(AdaptiveSpan(8, 8, 1, 0.0), pairs(8)), head=1) == "...AAAAA"


def test_no_formula_shows_a_later_token():
    for mask in (IntraDocument(), Chunked(3), Sinks(3, 1), GlobalLocal(2, 1, 2, 2, 0)):
        assert not np.triu(visible(mask, pairs(8))[0], 1).any()


def test_layers_have_the_mask_of_their_letter_and_windows_that_grow():
    growing = Layered("SCL", 2, 4, "linear")
    seen = [last(visible(growing, pairs(8, layer, 5))) for layer in range(5)]
    assert seen == ["......AA", "......AA", "AAAAAAAA", ".....AAA", "....AAAA"]


def test_training_forms_leave_their_groups_and_segments():
    sparse = ShiftedSparse(4)
    assert last(restricted(sparse, pairs(6), "")) == "AAAAAA"
    in_training = restricted(sparse, pairs(6), "training")
    assert [last(in_training, head) for head in (0, 1)] == ["....AA", "..AAAA"]
    assert last(restricted(Recurrence(4, 1), pairs(6), "training")) == "...AAA"
    assert restricted(Softmax(), pairs(6), "") is None


@pytest.mark.parametrize(
    ("mask", "attention", "expected"),
    [
        (IntraDocument(), Softmax(), [7, 6, 5, 4, 3, 2, 1, 0]),
        (Sinks(3, 2), Softmax(), [4, 3, 5, 4, 3, 2, 1, 0]),
        (LambdaMask(3, 2), Softmax(), [3, 3, 5, 4, 3, 2, 1, 0]),
        (IntraDocument(), SelfExtend(3, 2), [5, 5, 4, 4, 3, 2, 1, 0]),
        (IntraDocument(), Rerope(3, 0.0, 8), [3, 3, 3, 3, 3, 2, 1, 0]),
        (IntraDocument(), Rerope(3, 0.5, 8), [5, 4.5, 4, 3.5, 3, 2, 1, 0]),
        (IntraDocument(), DualChunk(4, 1, 1.0), [4, 3, 2, 4, 3, 2, 1, 0]),
    ],
)
def test_the_last_of_eight_tokens_meets_keys_at_the_distances_of_the_formula(mask, attention, expected):
    assert distance(mask, attention, pairs(8))[-1].tolist() == expected


def test_two_that_rearrange_pairs_have_no_formula_together():
    assert distance(Sinks(3, 2), SelfExtend(3, 2), pairs(8)) is None


def test_every_mask_that_is_an_option_has_its_formula(each_mask):
    assert visible(each_mask, pairs(8)) is not None
