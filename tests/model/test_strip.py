"""A strip keeps what a later query can look at, in order, and moves it seldom."""

import pytest
import torch

from ctxext.model import strip as module
from ctxext.model.strip import WHOLE, Span, Strip


@pytest.mark.parametrize("sizes", [[1] * 500, [200, *[1] * 300], [3, 100, 40, *[1] * 100, 300, 1, 1]])
def test_a_strip_keeps_the_first_tokens_and_the_last_in_order(sizes):
    strip, numbers, seen = Strip(Span(3, 10), 2), torch.arange(1000.0), 0
    for size in sizes:
        kept = strip.append(numbers[None, None, seen : seen + size, None])[0, 0, :, 0].int().tolist()
        seen += size
        last = range(max(seen - size - 9, 0), seen)
        assert kept == sorted(set(kept))
        assert {*range(min(3, seen)), *last} <= set(kept)
        assert kept[-len(last) :] == list(last)
    assert len(kept) <= 3 + 9 + max(module.ROOM, *sizes[-100:])


def test_growing_by_a_token_moves_what_is_there_seldom():
    strip, buffers = Strip(WHOLE, 1), set()
    for number in range(5000):
        strip.append(torch.full((1, 1), number))
        buffers.add(strip.buffer.data_ptr())
    assert len(buffers) < 10
    assert torch.equal(strip.kept[0], torch.arange(5000))
