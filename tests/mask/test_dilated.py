import pytest
import torch

from ctxext.mask.dilated import Dilated
from ctxext.mask.document import IntraDocument
from ctxext.mask.receptive_field import receptive_field
from ctxext.refusal import Refusal
from ctxext.seams import Sizes


def grown(mask: Dilated, num_heads: int):
    return mask.grown(Sizes(24, 2, num_heads, num_heads, 8), None)


@pytest.mark.parametrize(("window", "dilations"), [(4, [1, 2, 4]), (3, [3, 1, 2]), (1, [1, 2]), (6, [1]), (5, [3, 1])])
def test_each_head_sees_the_pairs_of_the_formula(seen, window, dilations):
    length = 40
    visible = seen(grown(Dilated(window, dilations), 5), length).expand(5, -1, -1)
    for head in range(5):
        step = dilations[head % len(dilations)]
        meant = [
            [0 <= query - key < window * step and (query - key) % step == 0 for key in range(length)]
            for query in range(length)
        ]
        assert visible[head].tolist() == meant


def test_every_head_sees_as_many_tokens_far_from_the_beginning(seen):
    visible = seen(grown(Dilated(4, [1, 2, 8]), 3), 60)
    assert (visible.sum(dim=-1)[:, 24:] == 4).all()
    assert visible[:, 59].int().argmax(dim=-1).tolist() == [56, 53, 35]  # W - 1 steps back; the W-th isn't seen


def learned_of(visible, layers: int) -> int:
    """Return how far back the last token can learn of anything through `layers`, by following every pair."""
    pairs = visible.any(dim=0).double()
    through = torch.linalg.matrix_power(pairs, layers)[-1] > 0
    return len(through) - int(through.int().argmax())


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_receptive_field_is_what_following_all_pairs_gives(seen, layers):
    mask = Dilated(3, [1, 2, 4])
    assert learned_of(seen(mask, 60), layers) == receptive_field(mask, layers) == 1 + 8 * layers


def test_tokens_on_and_off_the_grids_meet_through_the_layers(seen):
    pairs = seen(Dilated(3, [1, 2, 4]), 60).any(dim=0).double()
    assert (torch.linalg.matrix_power(pairs, 3)[-1, -15:] > 0).all()


def test_it_is_off_without_holes():
    assert Dilated(4, [1, 2]).off(100) == Dilated(100, [1])
    assert Dilated(4, [1, 2]).base() == IntraDocument()


@pytest.mark.parametrize(
    ("window", "dilations", "rule"),
    [
        (0, [1], r"mask\.window must be at least 1 token, got 0"),
        (4, [], r"mask\.dilations must be one or more numbers of at least 1, got \[\]"),
        (4, [1, 0], r"mask\.dilations must be one or more numbers of at least 1"),
        (4, [2, 3], r"mask\.dilations=\[2, 3\] have no 1, so that no token could ever learn of the one before it"),
        (4, 2, r"mask\.dilations must be a list, each a whole number, got 2"),
    ],
)
def test_impossible_dilations_are_refused(window, dilations, rule):
    with pytest.raises(Refusal, match=rule):
        Dilated(window, dilations)


def test_too_few_heads_for_the_dilation_of_1_are_refused():
    with pytest.raises(Refusal, match=r"mask\.dilations=\[2, 4\] have no 1"):
        grown(Dilated(4, [2, 4, 1]), 2)
