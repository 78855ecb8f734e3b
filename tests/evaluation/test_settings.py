"""Settings of evaluation that are refused, and how."""

import dataclasses
from typing import Any

import pytest

from ctxext.evaluation.settings import Evaluation
from ctxext.refusal import Refusal

GOOD = Evaluation([16, 32], 10, 4, ["base"], ["passkey"], [0.0, 1.0], 4, 0, 512, 1)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("lengths", [], "evaluation.lengths must name a length, got []"),
        ("lengths", [32, 16], "evaluation.lengths must rise, each once, got [32, 16]"),
        ("lengths", [16, 16], "evaluation.lengths must rise, each once, got [16, 16]"),
        ("lengths", [10, 16], "evaluation.lengths must all be above evaluation.scored_tokens=10, got 10"),
        ("scored_tokens", 0, "evaluation.scored_tokens must be above 0, got 0"),
        ("documents", -1, "evaluation.documents must be above 0, got -1"),
        ("samples", 0, "evaluation.samples must be above 0, got 0"),
        ("batch_tokens", 0, "evaluation.batch_tokens must be above 0, got 0"),
        ("truncated_stride", 0, "evaluation.truncated_stride must be from 1 to evaluation.scored_tokens=10, got 0"),
        ("truncated_stride", 11, "evaluation.truncated_stride must be from 1 to evaluation.scored_tokens=10, got 11"),
        ("every", -1, "evaluation.every must be at least 0, got -1"),
        ("depths", [0.0, 1.5], "evaluation.depths must be from 0 to 1, got [1.5]"),
        ("depths", [], "evaluation.depths must name a depth for evaluation.tasks, got []"),
        ("tasks", ["passkeys"], "evaluation.tasks must be among passkey, got 'passkeys'; did you mean 'passkey'?"),
        ("tasks", ["passkey"] * 2, "evaluation.tasks must name each once, got ['passkey', 'passkey']"),
        ("subjects", ["bases"], "among base, truncated, zero_shot, extended, got 'bases'; did you mean 'base'?"),
    ],
)
def test_a_value_out_of_range_is_refused_in_a_sentence(key: str, value: Any, sentence: str) -> None:
    with pytest.raises(Refusal) as raised:
        dataclasses.replace(GOOD, **{key: value})

    assert sentence in str(raised.value)


def test_no_task_needs_no_depth() -> None:
    assert dataclasses.replace(GOOD, tasks=[], depths=[]).tasks == []
