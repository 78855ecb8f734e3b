"""Strings: what stands behind the bar is made of what stands before it."""

import pytest

from ctxext.refusal import Refusal
from ctxext.tasks.samples import Place
from ctxext.tasks.strings import BucketSort, Copy, Parity, Reverse


class Ids:
    sentences = ()

    def __init__(self, ordinary):
        self.ordinary = ordinary


MATERIAL = Ids(range(100, 150))
ORACLES = {
    Copy: lambda string: string,
    Reverse: lambda string: list(reversed(string)),
    Parity: lambda string: [105 + sum(token - 105 for token in string) % 2],
    BucketSort: sorted,
}


def sample(task, length: int, index: int = 0):
    return task.sample(Place("strings", 0, length, 0.0, index), MATERIAL)


@pytest.mark.parametrize("kind", ORACLES)
@pytest.mark.parametrize("length", [0, 4, 5, 6, 7, 64, 65])
def test_the_labels_are_what_the_task_makes_of_the_string(kind, length):
    for index in range(20):
        one = sample(kind(4), length, index)
        (first,), output = one.positions, len(one.labels)
        string = one.tokens[first : len(one.tokens) - output - 1]
        assert len(one.tokens) == (length or 4)
        assert string
        assert one.tokens[:first] in ([100], [100, 100])
        assert one.labels == list(range(len(one.tokens) - output, len(one.tokens)))
        assert [one.tokens[label] for label in one.labels] == ORACLES[kind](string)
        assert set(string) <= {105, 106, 107, 108}


def test_every_task_has_a_bar_of_its_own_that_no_string_holds():
    bars = {sample(kind(4), 64).tokens[sample(kind(4), 64).labels[0] - 1] for kind in ORACLES}
    assert bars == {101, 102, 103, 104}


def test_the_chance_is_that_of_a_guess():
    assert [sample(kind(4), 64).chance for kind in ORACLES] == [0.25, 0.25, 0.5, 0.25]
    symbols = [token for index in range(200) for token in sample(Copy(4), 64, index).tokens[1:32]]
    assert max(symbols.count(token) for token in set(symbols)) / len(symbols) < 0.27


def test_what_has_no_room_is_refused():
    with pytest.raises(Refusal, match="the task strings needs 4 tokens or more, got 3"):
        sample(Copy(4), 3)
    with pytest.raises(Refusal, match=r"needs 65 ids, the vocabulary has 50; choose symbols=45"):
        sample(Copy(60), 64)
    with pytest.raises(Refusal, match="symbols of a task of strings must be at least 2, got 1"):
        Copy(1)
