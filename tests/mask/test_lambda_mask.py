import pytest
import torch

from ctxext.mask.document import IntraDocument
from ctxext.mask.lambda_mask import LambdaMask
from ctxext.refusal import Refusal


def test_recent_keys_keep_their_distance_and_first_tokens_left_behind_stand_at_the_ceiling(scored):
    assert scored(LambdaMask(window=3, global_tokens=2), torch.arange(7)[None] + 40) == [
        [0, None, None, None, None, None, None],
        [1, 0, None, None, None, None, None],
        [2, 1, 0, None, None, None, None],
        [3, 2, 1, 0, None, None, None],
        [3, 3, 2, 1, 0, None, None],
        [3, 3, None, 2, 1, 0, None],
        [3, 3, None, None, 2, 1, 0],
    ]


@pytest.mark.parametrize(("window", "first"), [(5, 3), (15, 10), (4, 8)])
def test_pairs_and_distances_are_those_of_the_formula(scored, window, first):
    table = scored(LambdaMask(window, first), torch.arange(60)[None])
    for query in range(60):
        for key in range(60):
            allowed = key <= query and (key < first or query - key < window)
            assert table[query][key] == (min(query - key, window) if allowed else None)


def test_with_its_default_window_no_distance_is_new_to_the_model(built, scored):
    mask = built("mask=lambda_mask", "base=none", "base.trained_length=192").mask
    table = scored(mask, torch.arange(300)[None])
    assert max(distance for row in table for distance in row if distance is not None) == 191


def test_each_document_has_first_tokens_of_its_own(seen):
    assert seen(LambdaMask(window=1, global_tokens=1), 4, 4)[0, 7].nonzero()[:, 0].tolist() == [4, 7]


def test_it_extends_a_model_with_the_causal_mask():
    assert LambdaMask(3, 1).base() == IntraDocument()


@pytest.mark.parametrize(("window", "first", "key"), [(0, 4, "window"), (4, 0, "global_tokens")])
def test_an_empty_part_is_refused(window, first, key):
    with pytest.raises(Refusal, match=rf"mask\.{key} must be at least 1 token, got 0"):
        LambdaMask(window, first)
