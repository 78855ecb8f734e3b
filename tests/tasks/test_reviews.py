"""Reviews: the label follows from the one opinion, which stands anywhere, and labels are balanced."""

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from ctxext.tasks.recall import DOINGS, QUALITIES, THINGS
from ctxext.tasks.reviews import FRAMES, LABELS, LEXICON, OPINION_WORDS, review

WORDS = {label: set(LEXICON[label]) for label in LABELS}


def opinions(text: str) -> dict[str, list[str]]:
    """Return the words of `text` that are of each label's lexicon."""
    words = text.replace(".", "").split()
    return {label: [word for word in words if word in known] for label, known in WORDS.items()}


def test_no_word_is_of_two_labels_or_of_the_filler() -> None:
    filler = {*QUALITIES, *THINGS, *" ".join(DOINGS).split(), *" ".join(FRAMES).split()}
    assert not WORDS["positive"] & WORDS["negative"]
    assert not (WORDS["positive"] | WORDS["negative"]) & filler
    assert len(WORDS["positive"]) == len(WORDS["negative"]) == 16


@pytest.mark.parametrize("words", [OPINION_WORDS, 40, 400])
def test_a_review_holds_one_opinion_of_its_label_and_no_other(words: int) -> None:
    for index in range(60):
        found = review(0, index, words)
        held = opinions(found.text)
        (other,) = set(LABELS) - {found.label}
        assert (len(held[found.label]), held[other]) == (1, [])
        assert held[found.label][0] in found.sentences[found.place]
        assert words - 10 <= len(found.text.split()) <= words or words == OPINION_WORDS


def test_labels_are_balanced_and_the_words_of_each_too(p_uniform: Callable[[Sequence[int]], float]) -> None:
    found = [review(2, index, 30) for index in range(2000)]
    assert Counter(sample.label for sample in found) == {"positive": 1000, "negative": 1000}
    for label in LABELS:
        counts = Counter(word for sample in found for word in opinions(sample.text)[label])
        assert p_uniform([counts[word] for word in WORDS[label]]) > 0.001


@pytest.mark.parametrize("label", LABELS)
def test_the_opinion_stands_at_every_depth_alike(label: str, p_uniform: Callable[[Sequence[int]], float]) -> None:
    found = [review(1, index, 100) for index in range(3000)]
    depths = [
        sample.place / (len(sample.sentences) - 1)
        for sample in found
        if sample.label == label and len(sample.sentences) == 11
    ]
    counts = Counter(round(10 * depth) for depth in depths)
    assert len(depths) > 200
    assert p_uniform([counts[place] for place in range(11)]) > 0.001


def test_a_review_is_a_function_of_its_number() -> None:
    forward = [review(0, index, 60) for index in range(50)]
    assert forward == [review(0, index, 60) for index in reversed(range(50))][::-1]
    assert len({sample.text for sample in forward}) == 50
    assert review(1, 0, 60).text != forward[0].text
