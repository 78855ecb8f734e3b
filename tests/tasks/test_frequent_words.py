"""Frequent words: counts by a power of the rank, the three golds above all others but the noise."""

import re
from collections import Counter

import numpy as np
import pytest

from ctxext.maths.counted import generator
from ctxext.refusal import Refusal
from ctxext.tasks.frequent_words import FrequentWords
from ctxext.tasks.samples import Place

TASK = FrequentWords(2.0, 50)


def counts(one, characters) -> tuple[Counter, int]:
    text = characters.decode(one.tokens)
    return Counter(re.findall(r" (?:[^aeiou\W][aeiou]){3}(?!\w)", text)), text.count(" ...")


@pytest.mark.parametrize("length", [0, 200, 400, 3000])
def test_the_golds_stand_more_often_than_any_other_word_and_the_noise_most(length, characters):
    for index in range(20):
        one = TASK.sample(Place("frequent_words", 0, length, 0.0, index), characters)
        found, noise = counts(one, characters)
        (question,) = one.questions
        golds = [found.pop(gold) for gold in question.candidates[:3]]
        assert question.golds == 3
        assert min(golds) > max(found.values(), default=0)
        assert len(one.positions) == sum(golds)
        assert length < 3000 or noise > max(golds)


def test_the_counts_are_the_power_law_s(characters):
    total = np.zeros(60)
    for index in range(60):
        one = TASK.sample(Place("frequent_words", 0, 3000, 0.0, index), characters)
        found, noise = counts(one, characters)
        golds = [found.pop(gold) for gold in one.questions[0].candidates[:3]]
        total += np.array([noise, *golds, sum(found.values())] + [0] * 55)
    law = [1 / rank**2 for rank in range(1, 61)]  # 3000 / 50 kinds
    expected = [law[0], law[1], law[2], law[3], sum(law[4:])]
    assert total[:5] / total.sum() == pytest.approx(np.array(expected) / sum(law), rel=0.12)


@pytest.mark.parametrize("length", [0, 200, 3000])
def test_all_wrong_candidates_are_words_of_the_text(length, characters):
    for index in range(20):
        one = TASK.sample(Place("frequent_words", 0, length, 0.0, index), characters)
        found, _ = counts(one, characters)
        assert len(one.questions[0].candidates) == 9
        assert all(found[candidate] >= 1 for candidate in one.questions[0].candidates[3:])


def test_draws_in_which_the_third_word_ties_are_drawn_again():
    sizes = np.ones(12, dtype=np.int64)
    for number in range(300):
        ranks = TASK.draw_ranks(generator(0, "ties", number), sizes, 20)
        found = Counter(ranks.tolist())
        assert len(ranks) == 20
        assert min(found[rank] for rank in (1, 2, 3)) > max(found[rank] for rank in range(4, 12))
        assert all(found[rank] for rank in range(4, 10))


def test_words_that_stand_in_every_text_stand_anywhere_in_it():
    sizes, places = np.ones(10, dtype=np.int64), Counter()
    for number in range(400):
        ranks = TASK.draw_ranks(generator(0, "anywhere", number), sizes, 20).tolist()
        places[ranks.index(9) // 5] += ranks.count(9) == 1
    total = places.total()
    assert total > 300
    assert sum((places[part] - total / 4) ** 2 / (total / 4) for part in range(4)) < 16.266  # 99.9 % of 3 degrees


def test_an_exponent_with_which_no_three_words_stand_out_is_refused():
    sizes = np.ones(60, dtype=np.int64)
    with pytest.raises(Refusal, match=r"alpha must be such that three words stand out, got 0\.01"):
        FrequentWords(0.01, 50).draw_ranks(generator(0, "ties"), sizes, 100)
    with pytest.raises(Refusal, match="alpha must be above 0, got -1"):
        FrequentWords(-1.0, 50)
    with pytest.raises(Refusal, match="tokens_a_kind must be at least 1, got 0"):
        FrequentWords(2.0, 0)
