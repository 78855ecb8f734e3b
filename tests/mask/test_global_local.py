from dataclasses import replace

import pytest
import torch

from ctxext.mask.document import IntraDocument
from ctxext.mask.global_local import GlobalLocal
from ctxext.places import Places
from ctxext.refusal import Refusal

MASK = GlobalLocal(window=9, global_tokens=5, random_blocks=2, block=4, seed=7)
LENGTH = 120


@pytest.mark.parametrize(("window", "first"), [(9, 5), (1, 1), (20, 40)])
def test_without_random_blocks_a_token_sees_the_pairs_of_the_formula(seen, window, first):
    visible = seen(replace(MASK, window=window, global_tokens=first, random_blocks=0), LENGTH)[0]
    for query in range(LENGTH):
        meant = [key <= query and (query - key < window or key < first) for key in range(LENGTH)]
        assert visible[query].tolist() == meant


def random_part(seen, mask: GlobalLocal):
    """Return what the random blocks add [T, T]."""
    return seen(mask, LENGTH)[0] & ~seen(replace(mask, random_blocks=0), LENGTH)[0]


@pytest.mark.parametrize("window", [9, 10, 11, 12])
def test_random_blocks_are_whole_distinct_and_as_many_as_fit_between_first_tokens_and_window(seen, window):
    visible = random_part(seen, replace(MASK, window=window))
    for query in range(LENGTH):
        keys = visible[query].nonzero()[:, 0].tolist()
        blocks = sorted({key // 4 for key in keys})
        assert keys == [key for block in blocks for key in range(4 * block, 4 * block + 4)]
        first = query - query % 4
        free = [block for block in range(LENGTH) if 4 * block >= 5 and first - (4 * block + 3) >= window]
        assert set(blocks) <= set(free)
        assert len(blocks) == min(2, len(free))


def test_the_tokens_of_a_block_share_their_random_blocks_and_blocks_differ(seen):
    visible = random_part(seen, MASK)
    rows = visible.view(LENGTH // 4, 4, LENGTH)
    assert (rows == rows[:, :1]).all()
    assert len({tuple(row.tolist()) for row in rows[12:, 0]}) > 10


def test_the_seed_and_the_layer_name_the_draws(seen):
    assert torch.equal(seen(MASK, LENGTH), seen(replace(MASK), LENGTH))
    assert not torch.equal(seen(MASK, LENGTH), seen(replace(MASK, seed=8), LENGTH))
    assert not torch.equal(seen(MASK.layer(0, 3), LENGTH), seen(MASK.layer(1, 3), LENGTH))
    assert MASK.layer(0, 3) == MASK


def test_random_blocks_are_the_same_whatever_part_of_the_row_is_read(seen):
    places = Places.of(torch.arange(LENGTH)[None])
    whole = seen(MASK, LENGTH)[0]
    for start, stop in ((0, 3), (50, 51), (77, LENGTH)):
        queries, keys = places.part(start, stop), places.part(0, stop)
        part = sum(view.visible(queries, keys).int() for view in MASK.views())[0, 0]
        assert torch.equal(part.bool(), whole[start:stop, :stop])


def test_the_density_is_as_computed(seen):
    first, far = 30, LENGTH - 30  # from token 30 on all parts are full
    assert (seen(MASK, LENGTH)[0].sum(dim=-1)[first:] == 9 + 5 + 2 * 4).sum() == far


def test_it_extends_a_model_with_the_causal_mask():
    assert MASK.base() == IntraDocument()


@pytest.mark.parametrize(
    ("key", "least"),
    [("window", "1 token"), ("global_tokens", "1 token"), ("block", "1 token"), ("random_blocks", "0"), ("seed", "0")],
)
def test_an_empty_part_is_refused(key, least):
    value = 0 if least == "1 token" else -1
    with pytest.raises(Refusal, match=rf"mask\.{key} must be at least {least}, got {value}"):
        replace(MASK, **{key: value})
