"""What is written is what an argmax without a cache would write, and it counts only as whole words."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from ctxext.data.corpus import Corpus
from ctxext.data.material import CorpusMaterial
from ctxext.data.tokenizer import end_token
from ctxext.evaluation.answers import continuation
from ctxext.evaluation.answers.continuation import (
    Cue,
    Ending,
    continued,
    cue_of,
    has_words,
    likeliest,
    marks,
    side_by_side,
    written_scores,
)
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.kernels.loss import Unembedding
from ctxext.model.geometry import DecoderGeometry, LstmGeometry
from ctxext.refusal import Refusal
from ctxext.tasks.samples import Asked, Place, Question
from ctxext.tasks.suite import TASKS

PROMPTS = [[(3 * place + 7 * row) % 319 + 1 for place in range(length)] for row, length in enumerate((9, 14, 9, 11))]


WIDER = DecoderGeometry(320, 24, 32, 2, 4, 2, 8, True, 1e-5)  # heads of the width that every member is set for


def never(tokens: list[int]) -> bool:
    return False


@torch.no_grad()
def argmax_loop(model: Any, prompt: list[int], count: int) -> list[int]:
    """Read everything anew for each token, with logits in doubles."""
    ids = list(prompt)
    for _ in range(count):
        weight, bias, _ = model.unembedding
        last = model.hidden(torch.tensor([ids]), torch.arange(len(ids))[None])[0, -1].double()
        ids.append(int((weight.double() @ last + (0 if bias is None else bias.double())).argmax()))
    return ids[len(prompt) :]


def test_each_prompt_goes_on_as_if_alone_and_without_a_cache(composition: Any, network_of: Callable[..., Any]) -> None:
    network = network_of(*composition[1:], WIDER)
    keeps_prefix = all(member.keeps_prefix() for member in composition[1:])
    # Where a longer text changes how its beginning is read, cached states are those of the shorter one.
    prompts, budget = (PROMPTS, 6) if keeps_prefix else ([prompt[:7] for prompt in PROMPTS], 6)
    found = continued(network, [Cue(prompt, budget) for prompt in prompts], likeliest, never)
    assert found == [argmax_loop(network, prompt, budget) for prompt in prompts]


def test_an_lstm_goes_on_from_its_state(network_of: Callable[..., Any]) -> None:
    network = network_of(geometry=LstmGeometry(320, 16, 24, 2))
    found = continued(network, [Cue(prompt, 5) for prompt in PROMPTS], likeliest, never)
    assert found == [argmax_loop(network, prompt, 5) for prompt in PROMPTS]


def test_every_text_has_its_own_budget_and_its_own_end(network: nn.Module) -> None:
    endless = [argmax_loop(network, prompt, 8) for prompt in PROMPTS]
    third = endless[1][2]
    cues = [Cue(prompt, budget) for prompt, budget in zip(PROMPTS, (1, 8, 3, 8), strict=True)]
    found = continued(network, cues, likeliest, lambda tokens: tokens[-1] == third)
    for tokens, whole, cue in zip(found, endless, cues, strict=True):
        stop = whole.index(third) + 1 if third in whole else 8
        assert tokens == whole[: min(stop, cue.budget)]


def test_the_draw_knows_which_prompt_it_is_for_and_what_was_written(network: nn.Module) -> None:
    asked: list[tuple[int, int]] = []

    def choose(logits: Tensor, number: int, count: int) -> int:
        asked.append((number, count))
        return 10 * number + count

    assert continued(network, [Cue(prompt, 2) for prompt in PROMPTS], choose, never) == [
        [0, 1],
        [10, 11],
        [20, 21],
        [30, 31],
    ]
    assert sorted(asked) == [(number, count) for number in range(4) for count in range(2)]


def test_prompts_of_like_lengths_are_read_side_by_side() -> None:
    cues = [Cue([1] * length, 3) for length in (9, 20, 5, 12, 9)]
    assert list(side_by_side(cues, keeps_prefix=True)) == [[2], [0, 4, 3], [1]]
    assert list(side_by_side(cues, keeps_prefix=False)) == [[2], [0, 4], [3], [1]]


def test_of_equal_logits_the_lowest_id_is_the_likeliest() -> None:
    assert likeliest(torch.tensor([0.0, 2.0, 2.0, 1.0]), 0, 0) == 1


def test_logits_that_are_not_finite_write_nothing(network: nn.Module) -> None:
    model = SimpleNamespace(unembedding=Unembedding(torch.full((3, 2), float("nan")), None, 0.0))
    with pytest.raises(FloatingPointError, match="not finite"):
        continuation.logits_of(model, torch.ones(1, 2))


def test_a_text_ends_before_the_end_token_and_before_the_stop(tokenizer: Tokenizer) -> None:
    end = end_token(tokenizer)
    line = Ending(tokenizer, end, "\n")
    first, rest = tokenizer.encode("one two.").ids, tokenizer.encode("\nthree").ids
    assert not line.is_over(first)
    assert line.is_over(first + rest[:1])
    assert line.is_over([*first, end])
    assert line.text(first + rest) == "one two."
    assert line.text([*first, end, *rest]) == "one two."
    assert Ending(tokenizer, end, "").text(first + rest) == "one two.\nthree"


@pytest.mark.parametrize(
    ("golds", "text", "share", "extra"),
    [
        (["12345"], " 12345.", 1, 0),
        (["12345"], " 912345", 0, 1),
        (["12345"], "123456", 0, 1),
        (["12345"], "it is 12345, not 54321", 1, 0),
        (["12345"], "not 54321 but 12345", 0, 1),
        (["12345"], "", 0, 0),
        ([" treaty vessel."], "the  treaty\nvessel, then", 1, 2),
        ([" treaty vessel."], "treaty vessels", 0, 1),
        ([" treaty vessel."], "entreaty vessel", 0, 1),
        (["labor", "peace"], "peace and war", 0.5, 1),
        (["labor", "peace"], "peace labor", 1, 0),
        (["12", "34", "56"], "34, 12, 345, 7, 7", 2 / 3, 2),
    ],
)
def test_whole_words_and_whole_numbers_count(golds: list[str], text: str, share: float, extra: int) -> None:
    assert marks(golds, text) == (share, extra)


def test_marks_of_a_word_are_letters_and_not_patterns() -> None:
    assert has_words("what (is) it?", "(is)")
    assert not has_words("anything", ".+")
    assert not has_words("", "")


def asked(prompt: list[int], text: str, tokenizer: Tokenizer, golds: int = 1) -> Asked:
    candidates = [*text.split()[:golds], "12345", "99999"]
    question = Question(prompt[-3:], candidates, [tokenizer.encode(word).ids for word in candidates], golds)
    return Asked(Place("t", 0, 0, 0.0, 0), prompt[:-3], [], [question])


def test_what_the_network_writes_is_what_is_scored(network: nn.Module, tokenizer: Tokenizer) -> None:
    ground: Ground = SimpleNamespace(tokenizer=tokenizer)  # type: ignore[assignment]
    reader, samples, expected = WholeReader(network, 100), [], []
    for prompt in PROMPTS:
        wrong = asked(prompt, "77777", tokenizer)
        cue = cue_of(reader, prompt, wrong.questions[0])
        assert cue.budget == max(map(len, wrong.questions[0].answers)) + 1
        expected.append(tokenizer.decode(argmax_loop(network, prompt, cue.budget)))
        samples.append(wrong)
    rows = written_scores(reader, samples, ground)
    assert [row["prediction"] for row in rows] == expected
    assert {row["metric"] for row in rows} == {"exact match"}
    assert {row["score"] for row in rows} == {0.0}


def test_a_right_answer_scores_one_and_of_several_the_share(
    network: nn.Module, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground: Ground = SimpleNamespace(tokenizer=tokenizer)  # type: ignore[assignment]
    written = iter([tokenizer.encode(text).ids for text in ("red it is", "red, green and pink", "blue", "912345")])
    monkeypatch.setattr(continuation, "continued", lambda model, cues, *rest: [next(written) for _ in cues])
    one, several = asked(PROMPTS[0], "red", tokenizer), asked(PROMPTS[1], "red blue", tokenizer, golds=2)
    two = Asked(one.place, one.tokens, [], [asked(PROMPTS[0], word, tokenizer).questions[0] for word in ("blue", "1")])
    assert written_scores(WholeReader(network, 100), [one, several, two], ground) == [
        {"metric": "exact match", "score": 1.0, "prediction": "red it is"},
        {"metric": "share written", "score": 0.5, "prediction": "red, green and pink", "extra": 2},
        {"metric": "share written", "score": 0.5, "prediction": ["blue", "912345"], "extra": 1},
    ]


def test_a_set_has_room_for_all_its_members_unless_the_positions_end(network: nn.Module) -> None:
    question = Question([1], ["a", "b", "c"], [[1, 2], [3], [4, 5, 6]], 2)
    alone = Question([1], ["a", "b", "c"], [[1, 2], [3], [4, 5, 6]], 1)

    class Short(WholeReader):
        def obstacle(self, length: int) -> str:
            return "too long" if length > 24 else ""

    prompt = [1] * 20
    assert cue_of(WholeReader(network, 100), prompt, alone) == Cue(prompt, 3 + 1)
    assert cue_of(WholeReader(network, 100), prompt, question) == Cue(prompt, 2 + 1 + 2 * 2 + 1)
    assert cue_of(Short(network, 100), prompt, question) == Cue(prompt, 3 + 1)


@pytest.mark.parametrize("task", TASKS)
def test_what_is_read_of_any_task_is_exactly_its_length(
    task: str, network: nn.Module, make_settings: Callable[..., Any], corpus: Corpus, tokenizer: Tokenizer
) -> None:
    suite, material = make_settings().parameters, CorpusMaterial(corpus, tokenizer)
    length = shortest(lambda length: suite.sample(Place(task, 0, length, 0.5, 0), material))
    for index in range(10):
        sample = suite.sample(Place(task, 0, length + index, 0.5, index), material)
        cues = [
            cue_of(WholeReader(network, 100), sample.tokens + question.tokens, question)
            for question in getattr(sample, "questions", [])
        ]
        read = [len(cue.tokens) + cue.budget - 1 for cue in cues]  # the last that is written is never read
        assert max(read, default=len(sample.tokens)) == length + index


def shortest(draw: Callable[[int], Any]) -> int:
    """Return the length that `draw` asks for when it refuses a short one, or one that tasks of any length take."""
    try:
        draw(1)
    except Refusal as refused:
        return int(re.search(r"needs (\d+) tokens", str(refused))[1])  # type: ignore[index]
    return 64


def test_the_control_reads_the_prompt_s_end_and_never_more_than_the_trained_length(network: nn.Module) -> None:
    question = Question([1], ["a", "b"], [[1, 2], [3]], 1)
    prompt = list(range(1, 41))
    cue = cue_of(TruncatedReader(network, 100, 16, 1), prompt, question)
    assert cue.tokens == prompt[-14:]
    assert len(cue.tokens) + cue.budget - 1 == 16  # the last that is written is never read


def test_samples_of_a_corpus_are_answered(
    network: nn.Module,
    make_settings: Callable[..., Any],
    make_ground: Callable[..., Ground],
    corpus: Corpus,
    tokenizer: Tokenizer,
) -> None:
    ground = make_ground(make_settings(tasks=["passkey"], lengths=[96], samples=4), 32, corpus, tokenizer)
    samples: list[Any] = ground.samples["passkey"][96]
    rows = written_scores(WholeReader(network, 1000), samples, ground)
    for sample, row in zip(samples, rows, strict=True):
        prompt = sample.tokens + sample.questions[0].tokens
        count = max(map(len, sample.questions[0].answers)) + 1
        tokens = argmax_loop(network, prompt, count)
        assert len(prompt) + count - 1 == 96
        assert row["prediction"] == Ending(tokenizer, end_token(tokenizer), "").text(tokens)
