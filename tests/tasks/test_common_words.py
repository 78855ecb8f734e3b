"""Common words: the golds stand as often as asked for, the others as seldom, and these fill the length."""

import re
from collections import Counter
from dataclasses import replace

import pytest

from ctxext.refusal import Refusal
from ctxext.tasks.common_words import CommonWords
from ctxext.tasks.samples import Place

TASK = CommonWords(10, 30, 3, 4096, 6, 1)


def counts(one, characters) -> tuple[Counter, list[str]]:
    """Return how often each word of the sample stands, the cut one in front left out, and the golds."""
    golds = [gold.strip() for gold in one.questions[0].candidates[: one.questions[0].golds]]
    text = characters.decode(one.tokens)
    return Counter(re.findall(r"(?<= )[a-z]+", text)), golds


@pytest.mark.parametrize(("length", "often", "seldom"), [(0, 6, 1), (1500, 6, 1), (4095, 6, 1), (6000, 30, 3)])
def test_every_common_word_stands_as_often_and_every_other_as_seldom(length, often, seldom, characters):
    for index in range(5):
        one = TASK.sample(Place("common_words", 0, length, 0.0, index), characters)
        found, golds = counts(one, characters)
        assert len(golds) == 10
        assert [found.pop(gold) for gold in golds] == [often] * 10
        assert length or len(found) == 10
        listed = [number for word, number in found.items() if number != seldom]
        assert len(listed) <= 8  # the sentence in front
        assert sum(number == seldom for number in found.values()) >= 10


def test_the_places_are_those_of_the_common_words_and_in_no_order(characters):
    one = TASK.sample(Place("common_words", 0, 1500, 0.0, 0), characters)
    _, golds = counts(one, characters)
    text = characters.decode(one.tokens)
    assert sorted(one.positions) == sorted(m.start() for gold in golds for m in re.finditer(rf" {gold}\b", text))
    assert one.positions != sorted(one.positions)


def test_the_first_wrong_candidates_are_words_of_the_text(characters):
    one = TASK.sample(Place("common_words", 0, 1500, 0.0, 0), characters)
    found, _ = counts(one, characters)
    wrong = [candidate.strip() for candidate in one.questions[0].candidates[10:]]
    assert len(wrong) == 30
    assert all(found[word] == 1 for word in wrong)


def test_numbers_that_make_no_word_common_are_refused():
    for changes, said in (
        ({"common": 0}, "common must be at least 1, got 0"),
        ({"times": 3}, "times must be above other_times=3, got 3"),
        ({"short_other_times": 0}, "short_other_times must be at least 1, got 0"),
    ):
        with pytest.raises(Refusal, match=said):
            replace(TASK, **changes)
