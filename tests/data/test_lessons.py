"""Lessons in tasks: whole samples packed to the row's size, their answers and nothing else learnt, none measured."""

import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from tokenizers import Tokenizer

from ctxext.data.corpus import Corpus, write_corpus
from ctxext.data.documents import Document
from ctxext.data.lessons import Lesson, Lessons, TrainingPlace
from ctxext.data.material import CorpusMaterial
from ctxext.data.rows import Rows
from ctxext.data.tokenizer import train_tokenizer
from ctxext.refusal import Refusal
from ctxext.tasks import recall
from ctxext.tasks.samples import Asked, Material, Place, Sample, Task
from ctxext.tasks.suite import TASKS, Suite

TEXTS = [recall.document(0, index, 150) for index in range(12)]
SIZE = 500


def suite() -> Suite:
    file = Path(__file__).parents[2] / "conf" / "evaluation" / "default.yaml"
    merged: Any = OmegaConf.merge(OmegaConf.structured(Suite), OmegaConf.load(file).parameters)
    return OmegaConf.to_object(merged)  # type: ignore[return-value]


SUITE = suite()
every_task = pytest.mark.parametrize("task", TASKS)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS, 900)


@pytest.fixture(scope="module")
def corpus(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("text"), [Document(str(i), t) for i, t in enumerate(TEXTS)], tokenizer)


@pytest.fixture(scope="module")
def material(corpus: Corpus, tokenizer: Tokenizer) -> CorpusMaterial:
    return CorpusMaterial(corpus, tokenizer)


def lessons_in(*tasks: str) -> Lessons:
    return Lessons(tasks, {task: SUITE.task(task) for task in tasks if task != "recall"})


def written(task: str, number: int, material: CorpusMaterial, size: int = SIZE) -> Lesson:
    return lessons_in(task).write(3, number, size, material)


def parts(lesson: Lesson) -> list[tuple[list[int], list[bool]]]:
    """Return tokens of each document of `lesson`, and which of them are answers."""
    starts = np.flatnonzero(np.diff(lesson.documents, prepend=-1))
    return [
        (lesson.tokens[a:b].tolist(), lesson.answers[a:b].tolist())
        for a, b in zip(starts, [*starts[1:], len(lesson.tokens)], strict=True)
    ]


@every_task
def test_a_lesson_is_whole_samples_of_the_task_and_their_answers(task: str, material: CorpusMaterial) -> None:
    for number in range(3):
        lesson = written(task, number, material)
        assert len(lesson.tokens) == len(lesson.answers) == len(lesson.documents) == SIZE
        found = parts(lesson)
        front, rest = (found[:1], found[1:]) if not any(found[0][1]) else ([], found)
        assert rest
        assert len(front) + len(rest) == lesson.documents[-1] + 1
        for _, answers in rest:
            assert any(answers)
            assert not answers[0]


@every_task
def test_an_answer_stands_right_behind_a_question_of_its_sample(task: str, material: CorpusMaterial) -> None:
    if SUITE.task(task).is_by_depth:
        pytest.skip("the depth is drawn")
    tokens, answers = next(part for part in parts(written(task, 0, material)) if any(part[1]))
    longest = len(tokens) + 80  # where the answer drawn is one of several, for all of which there is room
    samples = [sample_at(task, length, 0, material) for length in range(len(tokens), longest)]
    assert any(is_told(sample, tokens, answers) for sample in samples if sample is not None)


@pytest.mark.parametrize("task", ["passkey", "mqar", "copy"])
def test_every_sample_of_a_lesson_begins_as_texts_do(task: str, material: CorpusMaterial) -> None:
    begun = CorpusMaterial(replace(material.corpus, beginning=(7, 8)), material.tokenizer)
    for number in range(3):
        lesson = written(task, number, begun)
        found = [part for part in parts(lesson) if any(part[1])]
        assert len(lesson.tokens) == SIZE
        assert found
        for tokens, answers in found:
            assert tokens[:2] == [7, 8]
            assert not any(answers[:2])


def sample_at(task: str, length: int, part: int, material: CorpusMaterial) -> Any:
    try:
        return SUITE.task(task).sample(TrainingPlace(task, 3, length, 0.0, 0, part), material)
    except Refusal:
        return None


def is_told(sample: Any, tokens: list[int], answers: list[bool]) -> bool:
    """Return whether `tokens` are `sample` with a right answer, and `answers` are the places of that."""
    if not isinstance(sample, Asked):
        return sample.tokens == tokens and [place for place, counts in enumerate(answers) if counts] == sample.labels
    ways = [
        (sample.tokens + question.tokens, gold)
        for question in sample.questions
        for gold in question.answers[: question.golds]
    ]
    return any(
        tokens == prompt + gold and answers == [False] * len(prompt) + [True] * len(gold) for prompt, gold in ways
    )


def test_lengths_are_short_and_long_and_all_right_answers_are_told(material: CorpusMaterial) -> None:
    lessons = [written("copy", number, material, 100) for number in range(100)]
    first = [next(len(tokens) for tokens, answers in parts(lesson) if any(answers)) for lesson in lessons]
    assert min(first) < 20
    assert max(first) > 80
    golds = Counter()
    for number in range(30):
        told = parts(written("frequent_words", number, material, 300))
        for tokens, answers in [part for part in told if any(part[1])]:
            text = material.tokenizer.decode(tokens)
            said = Counter(re.findall(r" ((?:[^aeiou\W][aeiou]){3})\b", text.partition(" Recall:")[0]))
            gold = material.tokenizer.decode(np.array(tokens)[answers].tolist()).strip()
            golds[[word for word, _ in said.most_common(3)].index(gold)] += 1
    assert set(golds) == {0, 1, 2}


@every_task
def test_no_sample_of_the_stream_is_one_that_is_measured(task: str, material: CorpusMaterial) -> None:
    recorder = Recorder(SUITE.task(task))
    for seed in (0, 1, 3):
        for number in range(3):
            Lessons((task,), {task: recorder}).write(seed, number, SIZE, material)
    # A string of a few symbols is one of few.
    learnt = {contents(sample): sample.place for sample in recorder.made if sample.place.length >= 40}
    assert len(learnt) >= 9
    places = {(place.length, place.depth) for place in learnt.values()} | {(SIZE, 0.0), (SIZE, 0.5)}
    for length, depth in places:
        for index in range(6):
            here = Place(task, 0, length, depth, index)
            with suppress(Refusal):  # where another draw had room
                assert contents(SUITE.task(task).sample(here, material)) not in learnt, here


@dataclass
class Recorder(Task):
    """A task that keeps the samples that were made of it."""

    task: Task
    made: list[Sample] = field(default_factory=list)

    @property
    def is_by_depth(self) -> bool:  # type: ignore[override]
        return self.task.is_by_depth

    def sample(self, place: Place, material: Material) -> Sample:
        self.made.append(self.task.sample(place, material))
        return self.made[-1]


def contents(sample: Sample) -> str:
    """Return all that `sample` says, whatever it is called."""
    return repr(replace(sample, place=Place("", 0, 0, 0.0, 0)))


def test_a_task_without_room_in_a_row_is_refused(material: CorpusMaterial) -> None:
    with pytest.raises(Refusal, match=r"dataset\.lessons: rows of 20 tokens don't do, the task mqar needs 32 tokens"):
        written("mqar", 0, material, 21)


def test_lessons_take_turns_and_rows_of_them_are_found_by_number(corpus: Corpus, tokenizer: Tokenizer) -> None:
    curriculum = lessons_in("recall", "mqar", "facts_qa")
    rows = Rows(corpus, tokenizer, 128, 0.5, seed=1, curriculum=curriculum)
    samples = rows.batch(0, 12).samples
    assert [name for name in samples if "text" not in name] == [
        "recall/0",
        "mqar/1",
        "facts_qa/2",
        "recall/3",
        "mqar/4",
        "facts_qa/5",
    ]
    again = Rows(corpus, tokenizer, 128, 0.5, seed=1, curriculum=curriculum)
    for number in reversed(range(12)):
        first, second = rows.row(number), again.row(number)
        assert np.array_equal(first.tokens, second.tokens)
        assert np.array_equal(first.weights, second.weights)
    alone = Rows(corpus, tokenizer, 128, 0.5, seed=1)
    assert np.array_equal(alone.lesson(3).tokens, rows.lesson(3).tokens)
    assert not np.array_equal(alone.lesson(4).tokens, rows.lesson(4).tokens)


@pytest.mark.parametrize("keeps_apart", [True, False])
def test_of_a_row_the_answers_are_targets_and_its_documents_are_apart(
    keeps_apart: bool, corpus: Corpus, tokenizer: Tokenizer
) -> None:
    rows = Rows(corpus, tokenizer, 200, 1.0, 3, keeps_apart, curriculum=lessons_in("copy"))
    for number in range(10):
        row, lesson = rows.lesson(number), written("copy", number, rows.material, 201)
        assert np.array_equal(row.tokens, lesson.tokens)
        assert np.array_equal(row.weights, lesson.answers[1:].astype(np.float32))
        wanted = [list(lesson.documents[:place]).count(lesson.documents[place]) for place in range(200)]
        assert row.positions.tolist() == (wanted if keeps_apart else list(range(200)))
        assert row.documents.tolist() == (lesson.documents[:-1].tolist() if keeps_apart else [0] * 200)
