"""Common words: the golds stand as often as asked for, the others as seldom, and these fill the length."""

import re
from collections import Counter
from dataclasses import replace

import pytest

from ctxext.refusal import Refusal
from ctxext.tasks.common_words import CommonWords
from ctxext.tasks.samples import Place

TASK = CommonWords(10, 30, 3, 4096, 6, 1, 1024, 4, 3)


def counts(one, characters) -> tuple[Counter, list[str]]:
    """Return how often each word of the sample stands, the cut one in front left out, and the golds."""
    golds = [gold.strip() for gold in one.questions[0].candidates[: one.questions[0].golds]]
    text = characters.decode(one.tokens)
    return Counter(re.findall(r"(?<= )[a-z]+", text)), golds


@pytest.mark.parametrize(
    ("length", "common", "often", "seldom"),
    [(0, 4, 3, 1), (300, 4, 3, 1), (1023, 4, 3, 1), (1024, 10, 6, 1), (4095, 10, 6, 1), (6000, 10, 30, 3)],
)
def test_every_common_word_stands_as_often_and_every_other_as_seldom(length, common, often, seldom, characters):
    for index in range(5):
        one = TASK.sample(Place("common_words", 0, length, 0.0, index), characters)
        found, golds = counts(one, characters)
        assert len(golds) == common
        assert [found.pop(gold) for gold in golds] == [often] * common
        assert length or len(found) == 3 * common
        listed = [number for word, number in found.items() if number != seldom]
        assert len(listed) <= 8  # the sentence in front
        assert sum(number == seldom for number in found.values()) >= 3 * common


def test_the_places_are_those_of_the_common_words_and_in_no_order(characters):
    one = TASK.sample(Place("common_words", 0, 1500, 0.0, 0), characters)
    _, golds = counts(one, characters)
    text = characters.decode(one.tokens)
    assert sorted(one.positions) == sorted(m.start() for gold in golds for m in re.finditer(rf" {gold}\b", text))
    assert one.positions != sorted(one.positions)


@pytest.mark.parametrize("length", [0, 400, 1500, 5000])
def test_all_wrong_candidates_are_words_of_the_text_that_stand_seldom(length, characters):
    one = TASK.sample(Place("common_words", 0, length, 0.0, 0), characters)
    found, golds = counts(one, characters)
    wrong = [candidate.strip() for candidate in one.questions[0].candidates[len(golds) :]]
    assert len(wrong) == 3 * len(golds)
    assert {found[word] for word in wrong} == {3 if length >= 4096 else 1}


def test_what_a_text_needs_is_said_alike_whatever_the_sample_and_few_tokens_a_word_suffice(material):
    said = set()
    for index in range(40):
        for length in (1, 30):
            with pytest.raises(Refusal) as refused:
                TASK.sample(Place("common_words", 0, length, 0.0, index), material)
            said.add(str(refused.value).replace(f"got {length};", ""))
    assert len(said) == 1
    words = Words()
    for index in range(40):
        TASK.sample(Place("common_words", 0, 128, 0.0, index), words)


class Words:
    """Two tokens a word."""

    sentences = (" the nation and the tariff, upon report of many good labor unions.",)

    def encode(self, text: str) -> list[int]:
        return [number for word in text.split() for number in (len(word), hash_of(word))]


def hash_of(word: str) -> int:
    return int.from_bytes(word.encode(), "big")


def test_numbers_that_make_no_word_common_are_refused():
    for changes, said in (
        ({"common": 0}, "common must be at least 1, got 0"),
        ({"shorter_common": 0}, "shorter_common must be at least 1, got 0"),
        ({"shorter_times": 1}, "shorter_times must be above short_other_times=1, got 1"),
        ({"times": 3}, "times must be above other_times=3, got 3"),
        ({"short_other_times": 0}, "short_other_times must be at least 1, got 0"),
    ):
        with pytest.raises(Refusal, match=said):
            replace(TASK, **changes)
