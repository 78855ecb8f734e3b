"""Summaries: what is marked is repeated in order, stands once, and anywhere."""

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from ctxext.tasks.marked_sentences import MARK, MARKED_WORDS, report


@pytest.mark.parametrize(("words", "marks"), [(MARKED_WORDS, 1), (2 * MARKED_WORDS, 2), (120, 3), (1500, 20)])
def test_the_summary_is_what_is_marked_and_nothing_of_it_stands_twice(words: int, marks: int) -> None:
    for index in range(40):
        found = report(0, index, words, marks)
        pieces = [piece.strip() for piece in found.text.split(".") if piece]
        marked = [piece.removeprefix(f"{MARK} ") + "." for piece in pieces if piece.startswith(MARK)]
        assert len(marked) == marks
        assert found.summary == " ".join(marked)
        assert all(found.text.count(sentence) == 1 for sentence in marked)
        assert words - 10 <= len(found.text.split()) <= words


def test_marks_stand_at_every_place_alike(p_uniform: Callable[[Sequence[int]], float]) -> None:
    found = [report(3, index, 100, 2) for index in range(2000)]
    alike = [sample for sample in found if len(sample.sentences) == 11]
    counts = Counter(place for sample in alike for place in sample.marked)
    assert len(alike) > 200
    assert p_uniform([counts[place] for place in range(11)]) > 0.001


def test_a_text_is_a_function_of_its_number() -> None:
    forward = [report(0, index, 60, 2) for index in range(50)]
    assert forward == [report(0, index, 60, 2) for index in reversed(range(50))][::-1]
    assert len({sample.text for sample in forward}) == 50
    assert report(1, 0, 60, 2).text != forward[0].text
