import math
import re

import numpy as np
import pytest

from ctxext.maths.counted import generator
from ctxext.tasks import passkey, recall


def words(sentence: str) -> int:
    return len(sentence.split())


def chi_square_p(counts: list[int]) -> float:
    """Return the chance of a chi-square as large under equal chances (Wilson and Hilferty's cube root)."""
    expected, degrees = sum(counts) / len(counts), len(counts) - 1
    statistic = sum((count - expected) ** 2 / expected for count in counts)
    spread = 2 / (9 * degrees)
    return 0.5 * math.erfc(((statistic / degrees) ** (1 / 3) - (1 - spread)) / math.sqrt(2 * spread))


def test_the_chi_square_of_this_file_knows_its_tables():
    # 16.919 is the 95 % point of 9 degrees of freedom: counts with just this statistic.
    deviation = math.sqrt(16.919 * 100 / 10)
    assert chi_square_p([100 + deviation, 100 - deviation] * 5) == pytest.approx(0.05, abs=0.002)


def shares(asked: int) -> list[float]:
    """Return for 2000 lessons where the fact of their question number `asked` stands among the filler, from 0 to 1."""
    found = []
    for index in range(2000):
        draw = generator(7, "test", index)
        story = recall.lesson(draw, 300, words, share=60)
        facts = set(story.planted)
        name = (
            story.sentences[story.questions[asked % len(story.questions)]].split("Recall: the code of ")[1].split()[0]
        )
        (place,) = [at for at in facts if f" The code of {name} is" in story.sentences[at]]
        filler = [at for at in range(story.questions[0]) if at not in facts]
        # Of n sentences n + 1 gaps: a random point of the gap makes the share continuous.
        gap = sum(at < place for at in filler)
        found.append((gap + generator(7, "jitter", index).random()) / (len(filler) + 1))
    return found


@pytest.mark.parametrize("asked", [0, -1], ids=["first question", "last question"])
def test_what_is_asked_for_was_stated_at_a_uniform_place(asked):
    counts = np.histogram(shares(asked), bins=10, range=(0, 1))[0].tolist()
    assert chi_square_p(counts) > 0.001


def test_codes_and_their_digits_are_uniform():
    codes = [code for index in range(500) for code in recall.draw_codes(generator(3, "test", index), 10)]
    assert all(re.fullmatch(r"\d{5}", code) for code in codes)
    for place in range(5):
        assert chi_square_p([sum(code[place] == str(digit) for code in codes) for digit in range(10)]) > 0.001


def test_a_lesson_states_each_fact_once_where_it_says_and_asks_for_each_at_the_end():
    for index in range(50):
        story = recall.lesson(generator(0, "test", index), 200, words, share=25)
        text = "".join(story.sentences)
        stated = re.findall(r" The code of (\w+) is (\d{5})\.", "".join(story.sentences[at] for at in story.planted))
        asked = re.findall(
            r" Recall: the code of (\w+) is (\d{5})\.", "".join(story.sentences[at] for at in story.questions)
        )
        assert (len(stated), len(asked)) == (len(story.planted), len(story.questions))
        assert set(stated) == set(asked)
        assert len({name for name, _ in stated}) == len({code for _, code in stated}) == len(stated)
        assert story.questions == list(range(len(story.sentences) - len(asked), len(story.sentences)))
        for name, code in stated:
            assert text.count(code) == 1 + asked.count((name, code))
            assert text.count(f" The code of {name} is") == 1


@pytest.mark.parametrize("budget", [40, 41, 200, 257])
def test_the_budget_is_kept_and_less_than_a_sentence_of_it_left(budget):
    longest = max(words(recall.filler(generator(0, "longest", index))) for index in range(500))
    for index in range(50):
        story = recall.lesson(generator(1, "test", index), budget, words, share=25)
        used = sum(map(words, story.sentences))
        assert budget - longest < used <= budget


def test_filler_states_nothing_that_is_asked_for():
    sentences = [recall.filler(generator(0, "filler", index)) for index in range(300)]
    assert not any(re.search(r"\d|code|Recall", sentence) for sentence in sentences)
    assert not any(name in sentence.split() for name in recall.NAMES for sentence in sentences)
    assert len(set(sentences)) > 290


def test_names_are_many_and_different():
    assert len(set(recall.NAMES)) == len(recall.NAMES) >= 100


def test_documents_differ_by_seed_and_number_and_are_the_same_again():
    texts = [recall.document(seed, index, 120) for seed in range(3) for index in range(100)]
    assert len(set(texts)) == 300
    assert recall.document(2, 99, 120) == texts[-1]
    assert all(words(text) <= 120 for text in texts)


def test_training_and_evaluation_share_no_sample():
    trained = {recall.document(0, index, 120) for index in range(400)}
    trained |= {recall.lesson(generator(0, "lesson", index), 120, words).text for index in range(400)}
    pairs = {pair for text in trained for pair in re.findall(r"The code of (\w+) is (\d{5})", text)}
    tested = [passkey.sample(0, 400, 0.5, index, lambda text: [ord(c) for c in text]) for index in range(100)]
    for sample in tested:
        text = "".join(map(chr, sample.prompt))
        ((name, code),) = re.findall(r"The code of (\w+) is (\d{5})", text)
        assert (name, code) not in pairs
        assert not any(text in other or other in text for other in trained)
