"""Filler counted in words: never more than asked for, less by no more than a sentence, nothing twice."""

import pytest

from ctxext.maths.counted import generator
from ctxext.tasks.filler import draw_filler


@pytest.mark.parametrize("words", [0, 6, 50, 4000])
def test_filler_fills_its_room_with_different_sentences(words: int) -> None:
    sentences = draw_filler(generator(0, "test", words), words)
    assert words - 10 <= sum(len(sentence.split()) for sentence in sentences) <= words
    assert len(set(sentences)) == len(sentences)
    assert all(sentence.startswith(" The ") and sentence.endswith(".") for sentence in sentences)
