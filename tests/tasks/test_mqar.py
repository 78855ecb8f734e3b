"""Associative recall: each key's value follows it wherever it comes again, at gaps of a power law."""

from collections import Counter

import numpy as np
import pytest

from ctxext.maths.counted import generator
from ctxext.refusal import Refusal
from ctxext.tasks.mqar import Mqar, others
from ctxext.tasks.samples import Place


class Ids:
    sentences = ()

    def __init__(self, ordinary):
        self.ordinary = ordinary


MATERIAL = Ids(range(5, 405))
TASK = Mqar(8, 1, 0.01)


def samples(task: Mqar, length: int, count: int = 50):
    return [task.sample(Place("mqar", 0, length, 0.0, index), MATERIAL) for index in range(count)]


@pytest.mark.parametrize("length", [0, 32, 33, 128, 399])
@pytest.mark.parametrize("passes", [1, 2])
def test_every_label_is_the_value_of_the_key_before_it_as_stated(length, passes):
    task = Mqar(8, passes, 0.01)
    length = length and max(length, task.shortest)
    for one in samples(task, length):
        stated = 16 * passes
        pairs = [tuple(one.tokens[place : place + 2]) for place in range(0, stated, 2)]
        assert len(one.tokens) == (length or task.shortest)
        assert len(set(pairs)) == 8
        assert set(Counter(pairs).values()) == {passes}
        assert len(one.labels) == 8 == len({one.tokens[label - 1] for label in one.labels})
        for label, position in zip(one.labels, one.positions, strict=True):
            assert one.tokens[label - 1 : label + 1] == one.tokens[position : position + 2]
            assert tuple(one.tokens[label - 1 : label + 1]) in pairs[:8]


def test_keys_and_values_come_from_halves_apart_and_nowhere_else():
    for one in samples(TASK, 128):
        keys, values = one.tokens[:16:2], one.tokens[1:16:2]
        assert max(keys) < 205 <= min(values)
        assert len(set(keys + values)) == 16
        found = Counter(one.tokens)
        assert {found[token] for token in keys + values} == {2}
        assert set(one.tokens) <= set(MATERIAL.ordinary)
        assert one.chance == 1 / 200


def test_the_gaps_have_the_power_law_s_chances():
    task = Mqar(1, 1, 0.5)
    gaps = Counter((one.labels[0] - 3) // 2 + 1 for one in samples(task, 22, 2000))
    law = np.array([n**-0.5 for n in range(1, 11)])
    expected = 2000 * law / law.sum()
    statistic = sum((gaps[n + 1] - expected[n]) ** 2 / expected[n] for n in range(10))
    assert sum(gaps.values()) == 2000
    assert statistic < 27.9  # the 99.9 % point of 9 degrees of freedom


def test_any_of_the_pairs_may_be_asked_for_first():
    first = Counter(one.positions[0] for one in samples(TASK, 128, 800))
    assert set(first) == set(range(0, 16, 2))
    assert sum((first[place] - 100) ** 2 / 100 for place in first) < 24.3  # of 7 degrees


def test_what_is_random_is_drawn_among_all_ids_but_those_of_the_pairs():
    ids = np.array([3, 5, 6, 9, 10, 11, 20, 21])
    for number, pairs in enumerate(([[3, 20]], [[21, 5]], [[9, 10], [11, 20]], [[3, 5], [6, 21]])):
        free = sorted(set(ids.tolist()) - {token for pair in pairs for token in pair})
        found = others(generator(0, "others", number), ids, np.array(pairs), 3000)
        assert found.tolist() == generator(0, "others", number).choice(free, size=3000).tolist()
        assert set(found.tolist()) == set(free)


def test_the_ids_of_a_material_are_looked_at_once():
    class Counted(Ids):
        looks = 0

        @property
        def ordinary(self):
            Counted.looks += 1
            return range(5, 405)

        @ordinary.setter
        def ordinary(self, value):
            pass

    material = Counted(())
    for index in range(5):
        TASK.sample(Place("mqar", 0, 64, 0.0, index), material)
    assert Counted.looks == 1


def test_what_neither_the_pairs_nor_the_vocabulary_allow_is_refused():
    with pytest.raises(Refusal, match="the task mqar needs 32 tokens or more, got 31"):
        samples(TASK, 31, 1)
    with pytest.raises(Refusal, match="needs a vocabulary larger than the text, got 400 tokens and 400 ids"):
        samples(TASK, 400, 1)
    for fields, said in (((0, 1, 0.01), "pairs"), ((1, 0, 0.01), "passes"), ((1, 1, 0.0), "power")):
        with pytest.raises(Refusal, match=f"mqar.{said} must be"):
            Mqar(*fields)
