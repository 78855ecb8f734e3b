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
    found = words.dataset_words(characters)
    assert set(found) > {"ships", "cape"}
    assert not set(found) & set(re.findall(r"\w+", said))


def test_words_are_the_dataset_s_as_long_as_there_are_some_and_coded_ones_then(characters):
    said = set(re.findall(r"\w+", " ".join(characters.sentences)))
    found = dict(islice(words.drawn_words(draw(), characters), 2000))
    assert len(found) == 2000
    own = len(words.dataset_words(characters))
    assert 40 < own < 2000
    assert set(list(found)[:own]) <= said
    assert {len(word) for word in list(found)[own:]} == {6}
    assert all(characters.encode(f" {word}") == tokens for word, tokens in found.items())


def test_the_first_words_are_any_of_those_drawn(characters):
    first = [next(words.drawn_words(draw(number), characters))[0] for number in range(300)]
    assert len(set(first)) > 60


def test_short_words_are_enough_and_none_is_longer_than_the_longest_that_it_takes(material):
    every = words.dataset_words(material)
    few, many = (words.short_words(material, count) for count in (20, len(every) + 50))
    assert len(few) >= 20
    assert max(map(len, few.values())) <= sorted(map(len, every.values()))[19]
    assert len(many) == len(every) + 50
    assert set(every) <= set(many)


def test_words_alike_are_of_one_size_where_enough_are_and_in_random_order():
    sized = {"a": [0], "bb": [0, 0], "cc": [0, 1], "d": [1], "ee": [1, 1], "ffff": [0] * 4}

    def alike(number: int, count: int) -> dict[str, list[int]]:
        return words.alike(draw(number), sized, count)

    assert alike(0, 3) == {word: sized[word] for word in ("bb", "cc", "ee")}
    assert set(alike(0, 5)) == {"a", "bb", "cc", "d", "ee"}
    # The one that is unlike is anywhere among the four, and so no sign of a gold one.
    places = [list(alike(number, 4)).index("a") for number in range(400)]
    assert all(70 < places.count(place) < 130 for place in range(4))


def test_the_most_tokens_of_a_coded_word_are_those_of_none_more(trained, characters):
    most = words.most_tokens(trained)
    assert all(len(trained.encode(f" {word}")) <= most for word in islice(words.coded_words(draw()), 2000))
    assert words.most_tokens(characters) == 7
