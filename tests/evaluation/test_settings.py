"""Settings of evaluation that are refused, and how."""

import dataclasses
from typing import Any

import pytest

from ctxext.evaluation.settings import Evaluation, Rules
from ctxext.refusal import Refusal


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("lengths", [], "evaluation.lengths must name a length, got []"),
        ("lengths", [32, 16], "evaluation.lengths must rise, each once, got [32, 16]"),
        ("lengths", [16, 16], "evaluation.lengths must rise, each once, got [16, 16]"),
        ("lengths", [10, 16], "evaluation.lengths must all be above evaluation.scored_tokens=10, got 10"),
        ("lengths", [16, 4194305], "evaluation.lengths must be at most 4194304 tokens, got 4194305"),
        ("scored_tokens", 0, "evaluation.scored_tokens must be above 0, got 0"),
        ("documents", -1, "evaluation.documents must be above 0, got -1"),
        ("samples", 0, "evaluation.samples must be above 0, got 0"),
        ("batch_tokens", 0, "evaluation.batch_tokens must be above 0, got 0"),
        ("truncated_stride", 0, "evaluation.truncated_stride must be from 1 to evaluation.scored_tokens=10, got 0"),
        ("truncated_stride", 11, "evaluation.truncated_stride must be from 1 to evaluation.scored_tokens=10, got 11"),
        ("stride", 0, "evaluation.stride must be above 0, got 0"),
        ("every", -1, "evaluation.every must be at least 0, got -1"),
        ("depths", [0.0, 1.5], "evaluation.depths must be from 0 to 1, got [1.5]"),
        ("depths", [], "evaluation.depths must name a depth for evaluation.tasks, got []"),
        ("tasks", ["passkeys"], "got 'passkeys'; did you mean 'passkey'?"),
        ("tasks", ["passkey"] * 2, "evaluation.tasks must name each once, got ['passkey', 'passkey']"),
        ("scoring", "ranks", "evaluation.scoring must be among rank, generation, got 'ranks'; did you mean 'rank'?"),
        ("measures", ["longpp"], "got 'longpp'; did you mean 'longppl'?"),
        ("repeats", -1, "evaluation.repeats must be at least 0, got -1"),
        ("subjects", ["bases"], "among base, truncated, zero_shot, extended, got 'bases'; did you mean 'base'?"),
    ],
)
def test_a_value_out_of_range_is_refused_in_a_sentence(
    settings: Evaluation, key: str, value: Any, sentence: str
) -> None:
    good = dataclasses.replace(settings, lengths=[16, 32], tasks=["passkey"])
    with pytest.raises(Refusal) as raised:
        dataclasses.replace(good, **{key: value})

    assert sentence in str(raised.value)


def test_no_task_needs_no_depth(settings: Evaluation) -> None:
    assert dataclasses.replace(settings, tasks=[], depths=[]).tasks == []


@pytest.mark.parametrize(
    ("key", "bars", "sentence"),
    [
        ("nll", [0.05, -0.1], "evaluation.effective.nll must hold margins in nats of at least 0, got [-0.1]"),
        ("own_nll", [float("nan")], "evaluation.effective.own_nll must hold margins in nats of at least 0, got [nan]"),
        ("score", [0.0], "evaluation.effective.score must hold scores above 0 and at most 1, got [0.0]"),
        ("absolute", [85.6], "evaluation.effective.absolute must hold scores above 0 and at most 1, got [85.6]"),
        ("score", [0.5, 0.5], "evaluation.effective.score must name each once, got [0.5, 0.5]"),
    ],
)
def test_a_bar_that_says_nothing_is_refused(key: str, bars: list[float], sentence: str) -> None:
    none: dict[str, list[float]] = {"nll": [], "own_nll": [], "score": [], "own_score": [], "absolute": []}
    assert Rules(**none).nll == []
    with pytest.raises(Refusal) as raised:
        Rules(**(none | {key: bars}))

    assert sentence in str(raised.value)
