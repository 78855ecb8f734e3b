import re

import pytest

from ctxext.refusal import Refusal
from ctxext.tasks import recall
from ctxext.tasks.passkey import CANDIDATES, sample


def characters(text: str) -> list[int]:
    return [ord(character) for character in text]


def pieces(text: str) -> list[int]:
    """Return a token for each word and each digit, as a trained tokenizer would."""
    return [hash(piece) % 10**9 if len(piece) > 1 else ord(piece) for piece in re.findall(r" ?[A-Za-z]+|\d|.", text)]


def samples(length: int, depth: float, encode=characters, count: int = 20):
    return [sample(0, length, depth, index, encode) for index in range(count)]


def text_of(one) -> str:
    return "".join(map(chr, one.prompt))


@pytest.mark.parametrize("encode", [characters, pieces])
@pytest.mark.parametrize("length", [160, 161, 256, 1000])
def test_prompt_and_longest_answer_are_exactly_the_length(length, encode):
    for depth in (0.0, 0.3, 1.0):
        for one in samples(length, depth, encode):
            assert len(one.prompt) + max(map(len, one.answers)) == length


def test_the_fact_stands_where_the_sample_says_and_the_question_ends_the_prompt():
    for depth in (0.0, 0.5, 1.0):
        for one in samples(400, depth):
            text, gold = text_of(one), one.candidates[0]
            (place,) = one.positions
            stated = re.match(r" The code of (\w+) is(?P<answer> \w+ \w+\.)", text[place:])
            assert stated["answer"] == gold
            assert text.endswith(f" Recall: the code of {stated[1]} is")


def test_the_answer_is_nowhere_else_and_no_other_candidate_is_anywhere():
    for one in samples(600, 0.5, count=50):
        text = text_of(one)
        codes = [candidate.strip(" .") for candidate in one.candidates]
        assert text.count(codes[0]) == 1
        assert not any(code in text for code in codes[1:])
        assert len(set(re.findall(r"\w+", text)) & set(recall.WORDS)) == len(set(codes[0].split()))


def test_the_depth_is_the_share_of_the_haystack_before_the_fact():
    length = 2000
    for depth in (0.0, 0.1, 0.25, 0.5, 0.75, 1.0):
        for one in samples(length, depth, count=5):
            text, (place,) = text_of(one), one.positions
            statement = text.index(".", place) + 1 - place
            after = text.index(" Recall:") - place - statement
            assert place / (place + after) == pytest.approx(depth, abs=0.05)
            if depth == 1.0:
                assert after == 0


def test_candidates_are_ten_different_codes_of_the_same_name_and_the_gold_one_is_first():
    for one in samples(300, 0.5, count=50):
        assert len(set(one.candidates)) == CANDIDATES == len(one.answers)
        assert all(re.fullmatch(r" \w+ \w+\.", candidate) for candidate in one.candidates)
        assert one.answers == [characters(candidate) for candidate in one.candidates]


def test_a_drawn_code_that_is_the_gold_one_is_no_candidate_twice(monkeypatch):
    monkeypatch.setattr(recall, "draw_codes", lambda draw, count: [f"code {place}" for place in range(count)])
    one = sample(0, 300, 0.5, 0, characters)
    assert one.candidates == [f" code {place}." for place in range(10)]


def test_every_seed_length_depth_and_number_has_a_sample_of_its_own():
    choices = [(0, 400, 0.5, 0), (1, 400, 0.5, 0), (0, 401, 0.5, 0), (0, 400, 0.6, 0), (0, 400, 0.5, 1)]
    facts = [
        tuple(re.findall(r"The code of (\w+) is (\w+ \w+)", text_of(sample(*choice, characters)))) for choice in choices
    ]
    assert len(set(facts)) == len(choices)
    assert sample(*choices[0], characters) == sample(*choices[0], characters)


def test_a_length_without_room_is_refused_with_the_shortest_that_has_it():
    with pytest.raises(
        Refusal, match=r"evaluation\.lengths: the task passkey needs \d+ tokens or more, got 20"
    ) as refused:
        sample(0, 20, 0.5, 0, characters)
    needed = int(re.search(r"needs (\d+)", str(refused.value))[1])
    assert len(sample(0, needed, 0.5, 0, lambda text: [0] * 6).prompt) == needed - 6
