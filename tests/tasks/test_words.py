"""Words to count: different ones, alike in their tokens, none of them of the filler."""

import re
from itertools import islice

from ctxext.maths.counted import generator
from ctxext.tasks import recall, words


def draw(number: int = 0):
    return generator(0, "test words", number)


def test_coded_words_are_different_and_of_six_letters_each_a_syllable_of_two():
    found = list(islice(words.coded_words(draw()), 3000))
    assert len(set(found)) == 3000
    assert all(re.fullmatch("([^aeiou][aeiou]){3}", word) for word in found)


def test_no_word_of_a_dataset_that_is_counted_stands_in_filler(characters):
    said = " ".join(recall.filler(generator(0, "filler", number)) for number in range(500)).lower()
    for number in range(20):
        found = words.dataset_words(draw(number), characters, 50)
        assert len(set(found)) == len(found) == 50
        assert not set(found) & set(re.findall(r"\w+", said))


def test_words_are_the_dataset_s_as_long_as_there_are_some_and_coded_ones_then(characters):
    said = set(re.findall(r"\w+", " ".join(characters.sentences)))
    few, many = (words.dataset_words(draw(), characters, count) for count in (20, 2000))
    assert set(few) <= said
    assert 40 < len(set(many) & said) < 2000
    assert {len(word) for word in set(many) - said} == {6}


def test_the_first_words_are_any_of_those_drawn(characters):
    first = [words.dataset_words(draw(number), characters, 60)[0] for number in range(300)]
    assert len(set(first)) > 60


def test_words_alike_are_in_their_order_and_of_one_size_where_enough_are():
    sized = {"a": [0], "bb": [0, 0], "cc": [0, 1], "d": [1], "ee": [1, 1], "ffff": [0] * 4}
    found = words.alike(sized, 3, lambda text: sized[text.strip()])
    assert list(found.items()) == [("bb", [0, 0]), ("cc", [0, 1]), ("ee", [1, 1])]
    assert list(words.alike(sized, 5, lambda text: sized[text.strip()])) == ["a", "bb", "cc", "d", "ee"]


def test_the_most_tokens_of_a_coded_word_are_those_of_none_more(trained, characters):
    most = words.most_tokens(trained.encode)
    assert all(len(trained.encode(f" {word}")) <= most for word in islice(words.coded_words(draw()), 2000))
    assert words.most_tokens(characters.encode) == 7
