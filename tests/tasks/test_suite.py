"""What holds of every task, whatever it asks: the ways in which a generator may give its answers away."""

import math
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from ctxext.maths.counted import generator
from ctxext.refusal import Refusal
from ctxext.tasks.samples import Asked, Dictated, Material, Place, Question, Sample
from ctxext.tasks.suite import TASKS, Suite

DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
BINS, CRITICAL = 5, 18.467
"""The 99.9 % point of the chi-square of 4 degrees of freedom."""
NEAR = 80
"""Characters behind a position within which its statement has to say what it says."""
SAMPLES: dict[tuple[type, Place], Sample] = {}
SHORTEST: dict[tuple[type, str], int] = {}
every_task = pytest.mark.parametrize("task", TASKS)


def place(task: str, length: int, index: int, seed: int = 0) -> Place:
    """Return the place of sample `index`; the depths alternate."""
    return Place(task, seed, length, DEPTHS[index % len(DEPTHS)], index)


def shortest(suite: Suite, task: str, material: Material) -> int:
    """Return the shortest length that a refusal names, or 1 if the task takes any."""
    key = (type(material), task)
    if key not in SHORTEST:
        SHORTEST[key] = 1
        try:
            suite.sample(place(task, 1, 0), material)
        except Refusal as refused:
            said = rf"evaluation\.lengths: the task {task} needs (\d+) tokens or more, got 1"
            SHORTEST[key] = int(re.search(said, str(refused))[1])
    return SHORTEST[key]


def roomy(suite: Suite, task: str, material: Material) -> int:
    """Return a length with room for filler."""
    return shortest(suite, task, material) + 300


def drawn(suite: Suite, task: str, material: Material, length: int, count: int, seed: int = 0) -> list[Sample]:
    """Return the first samples of `task`, which tests share: none changes them."""
    return [kept(suite, place(task, length, index, seed), material) for index in range(count)]


def kept(suite: Suite, where: Place, material: Material) -> Sample:
    key = (type(material), where)
    if key not in SAMPLES:
        SAMPLES[key] = suite.sample(where, material)
    return SAMPLES[key]


def used(sample: Sample) -> int:
    """Return the tokens of the longest prompt with all that may be written as its answer."""
    if isinstance(sample, Dictated):
        return len(sample.tokens)
    return len(sample.tokens) + max(len(question.tokens) + budget(question) for question in sample.questions)


def budget(question: Question) -> int:
    """Return the tokens of the longest candidate, or of all golds, with two for what stands beside each of several."""
    golds = question.answers[: question.golds]
    return max(sum(map(len, golds)) + 2 * len(golds) * (len(golds) > 1), *map(len, question.answers))


def asked(samples: list[Sample]) -> list[Asked]:
    """Return `samples`, or skip a task whose samples are read to their end."""
    if isinstance(samples[0], Dictated):
        pytest.skip("nothing is asked")
    return samples  # type: ignore[return-value]


def chi_square(values: list[float]) -> float:
    """Return the statistic of `values` from 0 to 1 against equal chances."""
    counts = Counter(min(int(value * BINS), BINS - 1) for value in values)
    expected = len(values) / BINS
    return sum((counts[place] - expected) ** 2 / expected for place in range(BINS))


def test_the_chi_square_of_this_file_knows_its_table():
    at = [(place + 0.5) / BINS for place in range(BINS)]
    # (10 d^2) / 100 is the statistic of counts 100 +- d in two bins, here of 5.
    assert chi_square(at * 100) == 0
    assert chi_square(at * 100 + at[:1] * 25) == pytest.approx(((125 - 105) ** 2 + 4 * 25) / 105)
    assert math.exp(-CRITICAL / 2) * (1 + CRITICAL / 2) == pytest.approx(0.001, rel=1e-3)  # its tail, of 4 degrees


def test_the_option_file_has_the_parameters_of_every_task_and_no_other(suite):
    file = Path(__file__).parents[2] / "conf" / "evaluation" / "default.yaml"
    assert OmegaConf.load(file).parameters == {task: vars(suite.task(task)) for task in TASKS}


@every_task
def test_prompt_and_written_answer_are_exactly_the_length(task, suite, material):
    least = max(shortest(suite, task, material), 64)
    for length in (*range(least, least + 12), least + 237):
        for sample in drawn(suite, task, material, length, 2 if length < least + 12 else 5):
            assert used(sample) == length


@every_task
def test_the_shortest_length_that_a_refusal_names_has_room_for_every_sample(task, suite, material):
    least = shortest(suite, task, material)
    for sample in drawn(suite, task, material, least, 40):
        assert used(sample) <= least
    if least > 1:
        with pytest.raises(Refusal, match=f"{task} needs {least} tokens or more, got {least // 2}"):
            suite.sample(place(task, least // 2, 0), material)


@every_task
def test_a_sample_of_length_0_has_no_filler(task, suite, material):
    least = shortest(suite, task, material)
    for sample in drawn(suite, task, material, 0, 40):
        assert 0 < used(sample) <= max(least, 64)


@every_task
def test_the_evidence_stands_where_it_is_asked_for_or_anywhere_with_equal_chances(task, suite, trained):
    asked(drawn(suite, task, trained, 0, 1))
    samples = drawn(suite, task, trained, shortest(suite, task, trained) + 600, 120)
    if suite.task(task).is_by_depth:
        for sample in samples:
            (at,) = sample.positions
            assert at / len(sample.tokens) == pytest.approx(sample.place.depth, abs=0.05)
        return
    first = [sample.positions[0] / len(sample.tokens) for sample in samples]
    some = [s.positions[s.place.index * 7 % len(s.positions)] / len(s.tokens) for s in samples]
    assert chi_square(some) < CRITICAL
    # Of several places the first may be the earliest; else it is anywhere too.
    if any(sample.positions != sorted(sample.positions) for sample in samples) or len(samples[0].positions) == 1:
        assert chi_square(first) < CRITICAL


@every_task
def test_a_gold_answer_is_only_where_the_sample_says(task, suite, characters):
    for length in (0, roomy(suite, task, characters)):
        for sample in asked(drawn(suite, task, characters, length, 40)):
            text = characters.decode(sample.tokens)
            for question in sample.questions:
                for gold in question.candidates[: question.golds]:
                    found = [m.start() for m in re.finditer(rf"\b{re.escape(gold.strip(' .'))}\b", text)]
                    assert found, f"{gold} is nowhere"
                    for at in found:
                        assert any(0 <= at - position < NEAR for position in sample.positions), f"{gold} stands at {at}"


@every_task
def test_no_question_and_no_candidate_comes_twice(task, suite, material):
    for sample in asked(drawn(suite, task, material, roomy(suite, task, material), 40)):
        assert len({tuple(question.tokens) for question in sample.questions}) == len(sample.questions)
        for question in sample.questions:
            assert len(set(question.candidates)) == len(question.candidates) == len(question.answers)
            assert len(set(map(tuple, question.answers))) == len(question.answers)
            assert 1 <= question.golds < len(question.candidates)
            assert question.answers == [material.encode(candidate) for candidate in question.candidates]


@every_task
def test_samples_are_the_same_whatever_the_order_and_however_many_workers(task, suite, material):
    places = [place(task, length, index) for length in (0, roomy(suite, task, material)) for index in range(10)]
    expected = {where: kept(suite, where, material) for where in places}
    mixed = [places[number] for number in generator(0, "order").permutation(len(places))]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda where: suite.sample(where, material), mixed))
    assert found == [expected[where] for where in mixed]


@every_task
def test_samples_of_other_seeds_lengths_depths_and_numbers_are_others(task, suite, material):
    length = roomy(suite, task, material)
    places = [Place(task, seed, n, 0.5, i) for seed in (0, 1) for n in (length, length + 1) for i in range(5)]
    if suite.task(task).is_by_depth:
        places += [Place(task, 0, length, 0.25, index) for index in range(5)]
    texts = {repr(vars(kept(suite, where, material)) | {"place": None}) for where in places}
    assert len(texts) == len(places)


def by_hash(candidate: str, answer: list[int]) -> float:
    return int.from_bytes(blake2b(candidate.encode(), digest_size=4).digest()) / 2**32


def by_length(candidate: str, answer: list[int]) -> float:
    return len(answer)


def by_alphabet(candidate: str, answer: list[int]) -> float:
    return sum(ord(letter) / 128**place for place, letter in enumerate(candidate[:8]))


PREFERENCES: list[Callable[[str, list[int]], float]] = [
    by_hash,
    by_length,
    lambda *candidate: -by_length(*candidate),
    by_alphabet,
    lambda *candidate: -by_alphabet(*candidate),
]


def share_right(question: Question, likes: Callable[[str, list[int]], float], noise: np.ndarray) -> float:
    """Return the share of the gold answers among the most liked; `noise` breaks ties."""
    liked = [likes(*pair) for pair in zip(question.candidates, question.answers, strict=True)]
    order = sorted(range(len(liked)), key=lambda place: (liked[place], noise[place]))
    return sum(place < question.golds for place in order[: question.golds]) / question.golds


@every_task
def test_who_sees_the_question_alone_scores_at_chance(task, suite, material):
    samples = asked(drawn(suite, task, material, 0, 150))  # what is asked doesn't depend on the filler
    questions = [sample.questions[0] for sample in samples]
    golds, candidates = questions[0].golds, len(questions[0].candidates)
    assert {(question.golds, len(question.candidates)) for question in questions} == {(golds, candidates)}
    chance = golds / candidates
    # The variance of a hypergeometric share.
    error = np.sqrt(chance * (1 - chance) / golds * (candidates - golds) / (candidates - 1) / len(questions))
    for likes in PREFERENCES:
        draw = generator(0, "ties")
        scores = [share_right(question, likes, draw.random(len(question.candidates))) for question in questions]
        assert np.mean(scores) == pytest.approx(chance, abs=4 * error)


@every_task
def test_who_always_says_the_same_scores_at_chance_in_what_is_read_to_its_end(task, suite, material):
    if isinstance(drawn(suite, task, material, 0, 1)[0], Asked):
        pytest.skip("candidates are ranked")
    samples = drawn(suite, task, material, roomy(suite, task, material), 100)
    said = Counter(chain(*([sample.tokens[label] for label in sample.labels] for sample in samples)))
    chance = float(np.mean([sample.chance for sample in samples]))
    total = said.total()
    share = said.most_common(1)[0][1] / total
    assert share < chance + 5 * np.sqrt(max(chance, 1 / total) / total) + 0.02
