import pytest
import torch

from ctxext.mask.adaptive_window import AdaptiveWindow
from ctxext.mask.chunked import Chunked
from ctxext.mask.document import IntraDocument
from ctxext.mask.layered import Layered
from ctxext.mask.receptive_field import UNLIMITED, receptive_field
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow

LENGTH = 100


def followed(mask, layers: int, seen) -> int:
    """Return how far back any of the tokens from 60 on learns of something, by following all pairs of all layers."""
    through = torch.eye(LENGTH)
    for index in range(layers):
        through = seen(mask.layer(index, layers), LENGTH).any(dim=0).float() @ through
    query, key = (through[60:] > 0).nonzero().unbind(-1)
    return int((query + 60 - key).max()) + 1


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize(
    "mask",
    [
        SlidingWindow(8),
        Chunked(20),
        Layered("S", 4, 16, "linear"),
        AdaptiveWindow(8, 0.0),
    ],
    ids=lambda mask: type(mask).__name__,
)
def test_it_is_what_following_all_pairs_gives(mask, layers, seen):
    assert receptive_field(mask, layers) == followed(mask, layers, seen)


@pytest.mark.parametrize("pattern", ["SC", "CSS", "SCC"])
def test_among_chunks_it_is_a_bound(pattern, seen):
    mask = Layered(pattern, 5, 5, "constant")
    assert 5 < followed(mask, 4, seen) <= receptive_field(mask, 4)


def test_windows_add_up_and_count_the_token_itself_once():
    assert receptive_field(SlidingWindow(256), 4) == 1 + 4 * 255
    assert receptive_field(Layered("S", 10, 40, "linear"), 4) == 1 + 9 + 19 + 29 + 39


def test_chunks_alone_never_learn_of_each_other():
    assert receptive_field(Chunked(256), 30) == 256


@pytest.mark.parametrize("mask", [IntraDocument(), Layered("SSSL", 8, 8, "constant"), AdaptiveWindow(8, 0.5)])
def test_a_layer_that_sees_everything_leaves_no_limit(mask):
    assert receptive_field(mask, 4) == UNLIMITED


def test_the_first_tokens_that_stay_in_sight_do_not_count():
    assert receptive_field(Sinks(window=8, sinks=4), 3) == receptive_field(SlidingWindow(8), 3)
