import math
import re
from collections import Counter

import pytest

from ctxext.maths.counted import generator
from ctxext.tasks import recall
from ctxext.tasks.passkey import Passkey
from ctxext.tasks.samples import Place

STATED = re.compile(r" The code of (\w+) is (\w+ \w+)\.")
ASKED = re.compile(r" Recall: the code of (\w+) is (\w+ \w+)\.")


def words(sentence: str) -> int:
    return len(sentence.split())


def lessons(count: int, budget: int = 200) -> list[recall.Story]:
    return [recall.lesson(generator(0, "test", index), budget, words) for index in range(count)]


def facts_of(story: recall.Story) -> list[tuple[str, str]]:
    """Return name and code of each statement."""
    return [STATED.fullmatch(story.pieces[place]).groups() for place in story.planted]


def asked_of(story: recall.Story) -> list[tuple[str, str]]:
    """Return name and code of each question with the answer that follows it."""
    return [ASKED.fullmatch("".join(story.pieces[place - 1 : place + 1])).groups() for place in story.answers]


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


def test_both_words_of_a_code_are_uniform():
    codes = [code.split() for index in range(500) for code in recall.draw_codes(generator(3, "test", index), 10)]
    for place in (0, 1):
        drawn = Counter(code[place] for code in codes)
        assert chi_square_p([drawn[word] for word in recall.WORDS]) > 0.001


def test_names_and_words_are_many_and_different_and_none_is_both():
    assert len(set(recall.NAMES)) == len(recall.NAMES) >= 100
    assert len(set(recall.WORDS)) == len(recall.WORDS) >= 100
    assert not set(recall.WORDS) & {name.lower() for name in recall.NAMES}


def test_filler_states_nothing_that_is_asked_for():
    sentences = [recall.filler(generator(0, "filler", index)) for index in range(300)]
    said = set(" ".join([*recall.QUALITIES, *recall.THINGS, *recall.DOINGS]).split())
    said |= set(re.findall(r"\w+", "".join(sentences)))
    assert not said & {*recall.NAMES, *recall.WORDS, "code", "Recall"}
    assert not {word.lower() for word in said} & set(recall.WORDS)
    assert len(set(sentences)) > 290


def test_every_piece_is_a_statement_a_question_an_answer_or_filler_as_the_story_says():
    for story in lessons(100):
        questions = [place - 1 for place in story.answers]
        named = [*story.planted, *questions, *story.answers]
        assert len(set(named)) == len(named)
        assert len(facts_of(story)) == len(STATED.findall(story.text.replace("The code", " The code", 1)))
        assert len(asked_of(story)) == story.text.count("Recall: ")
        for place in set(range(len(story.pieces))) - set(named):
            assert not STATED.search(story.pieces[place])
            assert not ASKED.search(story.pieces[place])
            assert not set(re.findall(r"\w+", story.pieces[place])) & set(recall.WORDS)
        assert "".join(story.pieces).strip() == story.text


def test_a_fact_is_stated_once_and_before_every_question_about_it_and_answered_as_stated():
    for story in lessons(100):
        stated, asked = facts_of(story), asked_of(story)
        assert len(dict(stated)) == len(stated)
        for fact, place in zip(asked, story.answers, strict=True):
            assert story.planted[stated.index(fact)] < place - 1


def test_names_and_codes_differ_within_a_lesson():
    for story in lessons(100):
        names, codes = zip(*facts_of(story), strict=True)
        assert len(set(names)) == len(set(codes)) == len(story.planted)


def test_a_lesson_states_at_most_as_many_facts_as_asked_for_and_as_few_as_one():
    counts = Counter(len(story.planted) for story in lessons(300, budget=400))
    assert set(counts) == set(range(1, 9))
    few = [recall.lesson(generator(0, "test", index), 400, words, most=2) for index in range(50)]
    assert {len(story.planted) for story in few} == {1, 2}


def test_the_last_piece_is_an_answer():
    for budget in (15, 40, 200):
        for story in lessons(50, budget):
            assert story.answers[-1] == len(story.pieces) - 1
            assert re.fullmatch(r" \w+ \w+\.", story.pieces[-1])


def test_the_last_question_is_about_any_of_the_facts_with_equal_chances():
    places = Counter()
    for story in lessons(2000):
        stated = facts_of(story)
        if len(stated) == 4:
            places[stated.index(asked_of(story)[-1])] += 1
    assert sum(places.values()) > 100
    assert chi_square_p([places[place] for place in range(4)]) > 0.001


def test_questions_before_the_last_are_mostly_about_late_facts_and_some_about_every_one():
    back = Counter()  # how many facts were stated after the one asked for
    for story in lessons(300, budget=400):
        stated = facts_of(story)
        for fact, place in zip(asked_of(story)[:-1], story.answers, strict=False):
            known = sum(planted < place for planted in story.planted)
            if known >= 5:
                back[known - 1 - stated.index(fact)] += 1
    assert set(back) == set(range(8))
    assert back[0] > back[1] > back[4]
    assert back[0] + back[1] < 0.75 * sum(back.values())


def test_lessons_hold_filler_more_and_less_of_it():
    shares = [1 - (len(s.planted) + 2 * len(s.answers)) / len(s.pieces) for s in lessons(200, budget=400)]
    assert min(shares) < 0.15
    assert max(shares) > 0.4


@pytest.mark.parametrize("budget", [15, 16, 40, 41, 200, 257])
def test_the_budget_is_kept_and_less_than_a_sentence_of_it_left(budget):
    longest = max(words(recall.filler(generator(0, "longest", index))) for index in range(500))
    for story in lessons(50, budget):
        used = sum(map(words, story.pieces))
        assert budget - longest < used <= budget


def test_the_same_draw_gives_the_same_lesson_and_another_one_another():
    assert lessons(20) == lessons(20)
    assert len({story.text for story in lessons(100)}) == 100


def test_documents_differ_by_seed_and_number_and_are_the_same_again():
    texts = [recall.document(seed, index, 120) for seed in range(3) for index in range(100)]
    assert len(set(texts)) == 300
    assert recall.document(2, 99, 120) == texts[-1]
    assert all(words(text) <= 120 for text in texts)
    assert all(text == text.strip() for text in texts)


def test_training_and_evaluation_share_no_sample(characters):
    trained = {recall.document(0, index, 120) for index in range(400)}
    trained |= {recall.lesson(generator(0, "lesson", index), 120, words).text for index in range(400)}
    pairs = {pair for text in trained for pair in STATED.findall(f" {text}")}
    assert len(pairs) > 800
    task = Passkey(haystack="filler", kind="words")
    for index in range(100):
        text = characters.decode(task.sample(Place("passkey", 0, 400, 0.5, index), characters).tokens)
        (fact,) = STATED.findall(text)
        assert fact not in pairs
        assert not any(text in other or other in text for other in trained)
