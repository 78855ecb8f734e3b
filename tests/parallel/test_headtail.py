"""The share that a process has of each row."""

import pytest
import torch

from ctxext.parallel.headtail import HeadTail
from ctxext.places import Places

DOCUMENTS = torch.tensor([[0] * 5 + [1] * 7])


def alone(rank: int, count: int) -> HeadTail:
    return HeadTail(rank, count, lambda own: own[None])


@pytest.mark.parametrize("count", [2, 3])
def test_each_column_is_that_of_one_process_and_causal_work_is_even(count):
    shares = [alone(rank, count).own(torch.arange(12)[None])[0] for rank in range(count)]

    assert sorted(torch.cat(shares).tolist()) == list(range(12))
    assert len({int((share + 1).sum()) for share in shares}) == 1  # the pairs that its queries see


def test_places_are_those_of_the_row():
    whole = Places.of(torch.arange(12)[None] * 10, DOCUMENTS)

    own = alone(0, 3).places(whole)

    assert own.columns.tolist() == [0, 1, 10, 11]
    assert own.positions.tolist() == [[0, 10, 100, 110]]
    assert own.documents is not None
    assert own.documents.tolist() == [[0, 0, 1, 1]]
    assert own.ordinals.tolist() == [[0, 1, 5, 6]]
    assert own.lengths.tolist() == [[5, 5, 7, 7]]
    assert own.size == 12


def test_queries_are_the_last_of_the_keys_that_they_ask():
    for queries, keys in alone(1, 3).sights(Places.of(torch.arange(12)[None])):
        assert keys.columns.tolist() == list(range(int(queries.columns[-1]) + 1))
        assert queries.columns.tolist() == keys.columns[-2:].tolist()


def test_what_is_gathered_is_put_in_the_order_of_the_row():
    row = torch.arange(2 * 3 * 12 * 2.0).view(2, 3, 12, 2)
    shares = [torch.cat([row[:, :, piece] for piece in alone(rank, 3).pieces(12)], dim=2) for rank in range(3)]
    pairs = [(share, share[..., 0].double()) for share in shares]

    def gather(own):
        kind = next(index for index in (0, 1) if pairs[0][index].dtype == own.dtype)
        return torch.stack([pair[kind].flatten() for pair in pairs])

    numbers, doubles = HeadTail(0, 3, gather).everyone(pairs[0])

    assert torch.equal(numbers, row)
    assert torch.equal(doubles, row[..., 0].double())
