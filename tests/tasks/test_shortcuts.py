"""No task that is ranked is solved by what merely stands in the prompt, nor by what is left without the evidence."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from ctxext.maths.counted import generator
from ctxext.tasks import recall
from ctxext.tasks.samples import Asked, Place, Question
from ctxext.tasks.suite import TASKS

LONE = ("passkey", "niah_single")
"""One fact in a text without others: its value is the only one there."""
ROOMY = 1500
NEAR = 0.2
"""How far presence may be above chance: some wrong candidates stand in no short text."""
Oracle = Callable[[str, str, str], float]
every_task = pytest.mark.parametrize("task", TASKS)


def samples(task: str, length: int, suite, material, count: int = 60) -> list[Asked]:
    """Return samples of `task`, or skip one that asks nothing."""
    made = [suite.sample(Place(task, 0, length, 0.5, index), material) for index in range(count)]
    if not isinstance(made[0], Asked):
        pytest.skip("nothing is asked")
    return made


def presence(text: str, question: str, candidate: str) -> float:
    """Return whether `candidate` stands in `text`."""
    return bool(re.search(rf"\b{re.escape(candidate.strip(' .'))}\b", text))


def induction(text: str, question: str, candidate: str) -> float:
    """Return how many letters of what stands in front of `candidate` in `text` are the last ones of `question`."""
    found = [at.start() for at in re.finditer(re.escape(candidate.strip(" .")), text)]
    before = [text[max(at - 40, 0) : at].rstrip() for at in found]
    return max((agreeing(part, question) + 1 for part in before), default=0)


def agreeing(first: str, second: str) -> int:
    """Return how many last letters `first` and `second` share."""
    pairs = zip(reversed(first), reversed(second), strict=False)
    return next((count for count, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))


def share(oracle: Oracle, text: str, question: Question, decode, draw: np.random.Generator) -> float:
    """Return the share of the golds among those that `oracle` likes most, in a tie any."""
    asked, noise = decode(question.tokens), draw.random(len(question.candidates))
    liked = [oracle(text, asked, candidate) for candidate in question.candidates]
    order = sorted(range(len(liked)), key=lambda place: (-liked[place], noise[place]))
    return sum(place < question.golds for place in order[: question.golds]) / question.golds


def score(oracle: Oracle, texts: list[str], made: list[Asked], decode) -> float:
    draw = generator(0, "ties")
    pairs = [(text, question) for text, one in zip(texts, made, strict=True) for question in one.questions]
    return float(np.mean([share(oracle, text, question, decode, draw) for text, question in pairs]))


def chance(made: list[Asked]) -> tuple[float, float]:
    """Return the chance of `made` and four standard errors of a score of as many guesses."""
    question = made[0].questions[0]
    golds, candidates = question.golds, len(question.candidates)
    mean = golds / candidates
    variance = mean * (1 - mean) / golds * (candidates - golds) / (candidates - 1)
    return mean, 4 * float(np.sqrt(variance / len(made)))


@every_task
@pytest.mark.parametrize("length", [0, ROOMY])
def test_what_stands_in_the_text_is_no_sign_of_being_right(task, length, suite, characters):
    made = samples(task, length, suite, characters)
    found = score(presence, [characters.decode(one.tokens) for one in made], made, characters.decode)
    guess, _ = chance(made)
    if task in LONE or (task, length) == ("facts_qa", 0):
        assert found == 1  # of the one document that is left without filler
    else:
        assert found < guess + NEAR


def without(one: Asked, characters) -> str:
    """Return the text of `one` in which filler stands for the sentence, or the word, of each gold answer."""
    text, draw = characters.decode(one.tokens), generator(0, "instead", one.place.index)
    golds = [gold for question in one.questions for gold in question.candidates[: question.golds]]
    for gold in golds:
        said = re.escape(gold.strip(" ."))
        form = rf" [^.]*\b{said}\b[^.]*\." if gold.endswith(".") else rf" {said}\b"
        text = re.sub(form, lambda found: recall.filler(draw), text)
    return text


@every_task
@pytest.mark.parametrize("oracle", [presence, induction])
def test_without_the_evidence_nothing_tells_the_answer(task, oracle, suite, characters):
    made = samples(task, ROOMY, suite, characters)
    texts = [without(one, characters) for one in made]
    assert all(text != characters.decode(one.tokens) for text, one in zip(texts, made, strict=True))
    guess, error = chance(made)
    assert score(oracle, texts, made, characters.decode) < guess + error


def test_the_oracle_finds_what_is_stated(suite, characters):
    for task in (*LONE, "niah_multikey", "niah_multivalue", "niah_multiquery"):
        made = samples(task, ROOMY, suite, characters, 20)
        assert score(induction, [characters.decode(one.tokens) for one in made], made, characters.decode) > 0.9
