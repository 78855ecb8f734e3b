import re
from collections import Counter

import pytest

from ctxext.maths.counted import generator
from ctxext.refusal import Refusal
from ctxext.tasks import recall
from ctxext.tasks.values import alike, asked, check_kind, draw_values, longest, longest_value, size_of


def characters(text: str) -> list[int]:
    return [ord(character) for character in text]


@pytest.mark.parametrize("digits", [5, 7])
def test_numbers_are_different_and_have_all_their_digits(digits):
    drawn = [value for index in range(50) for value in draw_values(generator(0, "test", index), "numbers", 40, digits)]
    assert all(re.fullmatch(rf"[1-9]\d{{{digits - 1}}}", value) for value in drawn)
    assert len(set(drawn)) > 0.97 * len(drawn)
    for index in range(50):
        some = draw_values(generator(0, "test", index), "numbers", 40, digits)
        assert len(set(some)) == 40
    for place, least in [(0, 9), (digits - 1, 10)]:
        assert len({value[place] for value in drawn}) == least


def test_the_smallest_and_the_largest_number_can_be_drawn():
    drawn = set(draw_values(generator(0, "test"), "numbers", 90, 2))
    assert drawn == {str(number) for number in range(10, 100)}


def test_words_are_codes_as_in_the_lessons():
    assert draw_values(generator(0, "test"), "words", 9, 7) == recall.draw_codes(generator(0, "test"), 9)


def test_values_alike_have_the_commonest_number_of_tokens_and_keep_their_order():
    drawn = ["abc", "d", "efg", "hij", "kl", "mno", "pqr"]
    assert alike(drawn, 4, characters) == ["abc", "efg", "hij", "mno"]
    assert alike(drawn, 6, characters) == ["abc", "efg", "hij", "kl", "mno", "pqr"]
    assert alike(drawn, 7, characters) == drawn


def test_no_place_among_values_alike_is_longer_than_another_on_the_whole():
    sizes = [
        [size_of(value, characters) for value in alike(recall.draw_codes(generator(0, "t", index), 39), 13, characters)]
        for index in range(1500)
    ]
    means = [sum(column) / len(sizes) for column in zip(*sizes, strict=True)]
    assert max(means) - min(means) < 0.5
    assert len(Counter(size for row in sizes for size in row)) > 1


def test_the_longest_is_measured_in_tokens():
    assert longest(["aaaa", "bb", "cc c"], lambda text: text.split()) == "cc c"
    assert longest_value("words", 7, characters) in {f"{word} {word}" for word in recall.WORDS}
    most = max(map(len, recall.WORDS))
    assert len(longest_value("words", 7, characters)) == 2 * most + 1
    # Round numbers are one token here; others as many as they have digits.
    found = longest_value("numbers", 5, lambda text: [1] if text.endswith("0.") else characters(text))
    assert re.fullmatch(r"\d{4}[1-9]", found)


def test_a_question_has_its_golds_first_and_nine_others_that_are_none_of_them():
    golds, others = ["a", "b"], ["c", "a", *"defghijklm"]
    question = asked([1, 2], golds, others, characters)
    assert question.candidates == [f" {value}." for value in [*golds, *"cdefghijk"]]
    assert question.answers == [characters(candidate) for candidate in question.candidates]
    assert (question.tokens, question.golds) == ([1, 2], 2)


def test_a_kind_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(Refusal, match=r"^a\.b\.kind must be among words, numbers, got 'word'; did you mean 'words'\?"):
        check_kind("a.b", "word")
    check_kind("a.b", "numbers")
