"""Strings: what stands behind the bar is made of what stands before it."""

import numpy as np
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
        (first,), (bar,) = one.positions, [place for place, token in enumerate(one.tokens) if 100 < token < 105]
        string, output = one.tokens[first:bar], one.tokens[bar + 1 :]
        assert len(one.tokens) == (length or 4)
        assert string
        assert one.tokens[:first] in ([100], [100, 100])
        assert output == ORACLES[kind](string)
        assert kind is BucketSort or one.labels == list(range(bar + 1, len(one.tokens)))
        assert set(string) <= {105, 106, 107, 108}


def test_of_what_is_sorted_the_borders_of_the_runs_are_predicted():
    task = BucketSort(5)
    assert task.asked(np.array([0, 0, 0, 2, 2, 3, 4, 4])).tolist() == [2, 3, 4, 5, 6]
    assert task.asked(np.array([0, 1])).tolist() == [1]
    assert task.asked(np.array([3, 3])).tolist() == [0]
    # 0 again is right, then 2, wrongly said to be 1; 2 again, then 3, 4 each as the next one.
    assert task.chance(np.array([0, 0, 0, 2, 2, 3, 4, 4])) == 2 / 5
    assert task.chance(np.array([0, 0, 0, 1, 1, 3, 3, 3])) == 2 / 4
    assert task.chance(np.array([3, 3])) == 1 / 5


def test_every_task_has_a_bar_of_its_own_that_no_string_holds():
    bars = {token for kind in ORACLES for token in sample(kind(4), 64).tokens if 100 < token < 105}
    assert bars == {101, 102, 103, 104}


@pytest.mark.parametrize("length", [16, 64, 2048])
@pytest.mark.parametrize("kind", ORACLES)
def test_who_repeats_counts_on_or_copies_at_an_offset_scores_at_chance(kind, length):
    samples = [sample(kind(32 if kind in (Copy, Reverse) else 5), length, index) for index in range(200)]
    labels = [(one.tokens, label) for one in samples for label in one.labels]
    chance = np.mean([one.chance for one in samples for _ in one.labels])
    offsets = [offset for offset in (2, 3, length // 4, length // 2 - 2, length // 2) if kind is not Copy]
    guesses = {
        "repeat": lambda tokens, label: tokens[label - 1],
        "next": lambda tokens, label: tokens[label - 1] + 1,
        "first": lambda tokens, label: 105,
        **{f"offset {n}": lambda tokens, label, n=n: tokens[label - n] for n in offsets},
    }
    assert chance < 0.7
    error = 4 * np.sqrt(chance * (1 - chance) / min(len(labels), 8 * len(samples)))
    # One place of a string reversed is at any offset of its own.
    allowed = chance + error + (1 / len(samples[0].labels) if kind is Reverse else 0)
    for name, guess in guesses.items():
        share = np.mean([guess(tokens, label) == tokens[label] for tokens, label in labels])
        assert share < allowed, name


def test_the_chance_is_that_of_a_guess():
    assert [sample(kind(4), 64).chance for kind in ORACLES] == [0.25, 0.25, 0.5, 0.5]
    symbols = [token for index in range(200) for token in sample(Copy(4), 64, index).tokens[1:32]]
    assert max(symbols.count(token) for token in set(symbols)) / len(symbols) < 0.27


def test_what_has_no_room_is_refused():
    with pytest.raises(Refusal, match="the task strings needs 4 tokens or more, got 3"):
        sample(Copy(4), 3)
    with pytest.raises(Refusal, match=r"needs 65 ids, the vocabulary has 50; choose symbols=45"):
        sample(Copy(60), 64)
    with pytest.raises(Refusal, match="symbols of a task of strings must be at least 2, got 1"):
        Copy(1)
