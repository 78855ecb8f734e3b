import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b

import pytest

from ctxext.refusal import Refusal
from ctxext.tasks import recall
from ctxext.tasks.passkey import Passkey
from ctxext.tasks.samples import Asked, Place

TASK = Passkey(haystack="filler", kind="words")


@dataclass(frozen=True)
class Encoder:
    """What samples are made of where no text of a dataset is asked for."""

    encode: Callable[[str], list[int]]
    ordinary = range(0)
    sentences = ()


def letters(text: str) -> list[int]:
    return [ord(character) for character in text]


def pieces(text: str) -> list[int]:
    """Return a token for each word and each digit, as a trained tokenizer would."""
    return [hash(piece) % 10**9 if len(piece) > 1 else ord(piece) for piece in re.findall(r" ?[A-Za-z]+|\d|.", text)]


def sample(seed: int, length: int, depth: float, index: int, encode=letters, task: Passkey = TASK) -> Asked:
    return task.sample(Place("passkey", seed, length, depth, index), Encoder(encode))


def samples(length: int, depth: float, encode=letters, count: int = 20) -> list[Asked]:
    return [sample(0, length, depth, index, encode) for index in range(count)]


def prompt_of(one: Asked) -> list[int]:
    return one.tokens + one.questions[0].tokens


def text_of(one: Asked) -> str:
    return "".join(map(chr, prompt_of(one)))


@pytest.mark.parametrize("encode", [letters, pieces])
@pytest.mark.parametrize("length", [160, 161, 256, 1000])
def test_prompt_and_longest_answer_are_exactly_the_length(length, encode):
    for depth in (0.0, 0.3, 1.0):
        for one in samples(length, depth, encode):
            assert len(prompt_of(one)) + max(map(len, one.questions[0].answers)) == length


def test_the_fact_stands_where_the_sample_says_and_the_question_ends_the_prompt():
    for depth in (0.0, 0.5, 1.0):
        for one in samples(400, depth):
            text, gold = text_of(one), one.questions[0].candidates[0]
            (place,) = one.positions
            stated = re.match(r" The code of (\w+) is(?P<answer> \w+ \w+\.)", text[place:])
            assert stated["answer"] == gold
            assert text.endswith(f" Recall: the code of {stated[1]} is")


def test_the_answer_is_nowhere_else_and_no_other_candidate_is_anywhere():
    for one in samples(600, 0.5, count=50):
        text = text_of(one)
        codes = [candidate.strip(" .") for candidate in one.questions[0].candidates]
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
        assert len(set(one.questions[0].candidates)) == 10 == len(one.questions[0].answers)
        assert all(re.fullmatch(r" \w+ \w+\.", candidate) for candidate in one.questions[0].candidates)
        assert one.questions[0].answers == [letters(candidate) for candidate in one.questions[0].candidates]


def test_a_drawn_code_that_is_the_gold_one_is_no_candidate_twice(monkeypatch):
    monkeypatch.setattr(recall, "draw_codes", lambda draw, count: [f"code {place}" for place in range(count)])
    (question,) = sample(0, 300, 0.5, 0).questions
    assert question.candidates == [f" code {place}." for place in range(10)]


def test_every_seed_length_depth_and_number_has_a_sample_of_its_own():
    choices = [(0, 400, 0.5, 0), (1, 400, 0.5, 0), (0, 401, 0.5, 0), (0, 400, 0.6, 0), (0, 400, 0.5, 1)]
    facts = [tuple(re.findall(r"The code of (\w+) is (\w+ \w+)", text_of(sample(*choice)))) for choice in choices]
    assert len(set(facts)) == len(choices)
    assert sample(*choices[0]) == sample(*choices[0])


def test_a_length_without_room_is_refused_with_the_shortest_that_has_it_for_any_sample():
    with pytest.raises(
        Refusal, match=r"evaluation\.lengths: the task passkey needs \d+ tokens or more, got 20"
    ) as refused:
        sample(0, 20, 0.5, 0)
    needed = int(re.search(r"needs (\d+)", str(refused.value))[1])
    for one in samples(needed, 0.5, count=200):
        assert len(prompt_of(one)) + max(map(len, one.questions[0].answers)) == needed
    name, word = (max(map(len, words)) for words in (recall.NAMES, recall.WORDS))
    assert needed == 2 * name + 2 * (2 * word + 1) + len(" The code of  is . Recall: the code of  is .")


@pytest.mark.parametrize(
    ("length", "depth", "digest"),
    [
        (0, 0.5, "75137b537892c926"),
        (160, 0.5, "8638206e2756b406"),
        (256, 0.0, "5450068cc4b63b1c"),
        (256, 0.25, "9014c157ceec2961"),
        (256, 1.0, "d3a8486902d88153"),
        (1000, 0.5, "7807ca648d3565cf"),
    ],
)
def test_samples_are_those_that_published_numbers_were_measured_on(length, depth, digest):
    one = sample(0, length, depth, 3)
    found = repr((one.tokens, one.positions, one.questions)).encode()
    assert blake2b(found, digest_size=8).hexdigest() == digest


def test_numbers_have_five_digits():
    (question,) = sample(0, 300, 0.5, 0, task=replace(TASK, kind="numbers")).questions
    assert all(re.fullmatch(r" \d{5}\.", candidate) for candidate in question.candidates)
    assert len(set(question.candidates)) == 10


def test_text_of_the_dataset_names_no_candidate(characters):
    task = Passkey(haystack="text", kind="words")
    for index in range(10):
        one = task.sample(Place("passkey", 0, 2000, 0.5, index), characters)
        text = characters.decode(one.tokens)
        assert text.count("code of") == 1
        assert " ships " in text
        codes = [candidate.strip(" .") for candidate in one.questions[0].candidates]
        assert [text.count(code) for code in codes] == [1] + [0] * 9


def test_a_repeated_sentence_fills_the_text():
    text = text_of(sample(0, 1000, 0.5, 0, task=Passkey(haystack="repeat", kind="words")))
    assert len(set(re.findall(r" The [^.]+\.", text))) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"haystack": "needle"}, "haystack must be among filler, text, repeat, got 'needle'"),
        ({"kind": "digits"}, "kind must be among words, numbers, got 'digits'"),
    ],
)
def test_kinds_that_do_not_exist_are_refused(change, said):
    with pytest.raises(Refusal, match=rf"evaluation\.parameters\.passkey\.{said}"):
        replace(TASK, **change)
