"""Questions about stated facts: one right answer, everybody else has a rival to it, any place."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from ctxext.tasks.stated_facts import MOST_PEOPLE, QUESTION_WORDS, STATEMENT_WORDS, inquiry

PERSON = r"\w+ \w+"
TOLD = re.compile(
    rf"({PERSON}) lives in (\w+) and keeps the (\w+ \w+)\.|The (\w+ \w+) is kept by ({PERSON}), who lives in (\w+)\."
)


def told(text: str) -> list[tuple[str, str, str]]:
    """Return name, town and thing of everybody whom `text` tells about."""
    return [(a or b, c or d, e or f) for a, c, e, f, b, d in TOLD.findall(text)]


def read(text: str, question: str) -> str:
    """Return the answer to `question` that a reader of `text` finds."""
    people = told(text)
    if asked := re.fullmatch(rf"Question: where does ({PERSON}) live\?", question):
        return next(town for name, town, _ in people if name == asked[1])
    if asked := re.fullmatch(rf"Question: what does ({PERSON}) keep\?", question):
        return next(thing for name, _, thing in people if name == asked[1])
    asked = re.fullmatch(r"Question: who keeps the (\w+ \w+)\?", question)
    assert asked is not None
    return next(name for name, _, thing in people if thing == asked[1])


@pytest.mark.parametrize(("words", "people"), [(18, 1), (70, 5), (1500, MOST_PEOPLE), (900, 6)])
def test_the_question_has_one_answer_that_a_reader_finds(words: int, people: int) -> None:
    for index in range(30):
        found = inquiry(0, index, words, people)
        text, question = found.text.split("\n")
        assert read(text, question) == found.answer
        assert len(re.findall(rf"\b{found.answer}\b", text)) == 1
        assert found.answer in found.sentences[found.place]
        assert len(found.text.split()) <= words


def test_everybody_has_a_town_and_a_thing_of_their_own() -> None:
    for index in range(50):
        found = told(inquiry(1, index, 200, 9).text)
        assert [len(set(column)) for column in zip(*found, strict=True)] == [9, 9, 9]


def test_places_towns_and_people_are_asked_for_alike(p_uniform: Callable[[Sequence[int]], float]) -> None:
    words = Counter(inquiry(2, index, 80, 3).question.split()[1] for index in range(900))
    assert set(words) == {"where", "what", "who"}
    assert p_uniform(list(words.values())) > 0.001


def test_the_answer_stands_at_every_place_alike(p_uniform: Callable[[Sequence[int]], float]) -> None:
    found = [inquiry(3, index, 100, 4) for index in range(2000)]
    ((size, count),) = Counter(len(sample.sentences) for sample in found).most_common(1)
    places = Counter(sample.place for sample in found if len(sample.sentences) == size)
    assert count > 200
    assert p_uniform([places[place] for place in range(size)]) > 0.001


def test_a_text_is_a_function_of_its_number() -> None:
    forward = [inquiry(0, index, 80, 5) for index in range(50)]
    assert forward == [inquiry(0, index, 80, 5) for index in reversed(range(50))][::-1]
    assert len({sample.text for sample in forward}) == 50
    assert inquiry(1, 0, 80, 5).text != forward[0].text


def test_no_document_and_no_question_is_longer_than_said() -> None:
    found = [inquiry(4, index, 18, 1) for index in range(300)]
    assert max(len(sample.sentences[sample.place].split()) for sample in found) == STATEMENT_WORDS
    assert max(len(sample.question.split()) for sample in found) == QUESTION_WORDS
