"""The invented languages: a cipher that can be undone, is not the identity, and says the same in every direction."""

from itertools import combinations, pairwise

import pytest

from ctxext.maths.counted import generator
from ctxext.tasks.invented_language import (
    DIRECTIONS,
    LANGUAGES,
    PLAIN,
    SENTENCE_WORDS,
    VOCABULARY,
    draw_sentence,
    language,
    translation,
)

SENTENCES = [draw_sentence(generator(5, "test", index)) for index in range(300)]


def test_the_plain_language_is_readable_and_every_word_of_it_is_one() -> None:
    assert len(set(VOCABULARY)) == len(VOCABULARY)
    text = "the old river meets a quiet mill"
    assert language(PLAIN).write([[VOCABULARY.index(word) for word in text.split()]]) == f"{text}."


@pytest.mark.parametrize("name", LANGUAGES)
def test_what_is_written_is_read_again(name: str) -> None:
    written = [language(name).write(SENTENCES[start : start + 3]) for start in range(0, 300, 3)]
    assert [sentence for text in written for sentence in language(name).read(text)] == SENTENCES


def test_each_language_has_a_word_of_its_own_for_every_word() -> None:
    words = {name: language(name).words for name in LANGUAGES}
    assert all(len(set(known)) == len(VOCABULARY) for known in words.values())
    assert all(not set(words[one]) & set(words[other]) for one, other in combinations(LANGUAGES, 2))


def test_the_invented_orders_are_two_and_neither_is_the_plain_one() -> None:
    orders = {tuple(language(name).order(list(range(7)))) for name in LANGUAGES}
    assert orders == {(0, 1, 2, 3, 4, 5, 6), (6, 5, 4, 3, 2, 1, 0), (1, 0, 3, 2, 5, 4, 6)}


def test_the_words_of_a_language_never_change() -> None:
    assert language("red").write([[0, 4, 22, 54]]) == "kuguvu vavu zuza goruta."


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_both_sides_of_a_pair_mean_the_same_and_no_word_stays(direction: str) -> None:
    source, target = direction.split("-")
    for index in range(40):
        texts = translation(1, index, 30, direction)
        meanings = [language(name).read(text) for name, text in zip((source, target), texts, strict=True)]
        assert meanings[0] == meanings[1]
        assert not set(texts[0].replace(".", "").split()) & set(texts[1].replace(".", "").split())


def test_a_text_has_as_many_sentences_as_there_is_room_for_and_one_at_least() -> None:
    sizes = [len(translation(0, 0, words, "plain-red")[0].split()) for words in (1, 7, 13, 14, 700)]
    assert sizes == [SENTENCE_WORDS, SENTENCE_WORDS, SENTENCE_WORDS, 2 * SENTENCE_WORDS, 700]


def test_a_pair_is_a_function_of_its_number_and_no_two_are_the_same() -> None:
    texts = [translation(0, index, 14, "plain-blue")[0] for index in range(500)]
    assert texts[::-1] == [translation(0, index, 14, "plain-blue")[0] for index in reversed(range(500))]
    assert len(set(texts)) == 500
    assert all(first != second for first, second in pairwise(translation(seed, 3, 14, "red-blue") for seed in range(9)))
