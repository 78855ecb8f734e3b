"""What applications share: budgets, ends, and the rows of means."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ctxext.data.documents import Document
from ctxext.evaluation.answers.continuation import Ending
from ctxext.evaluation.applications.application import Item, ending_of, mean_row, resampled_row, share_row
from ctxext.evaluation.applications.applied import items_of
from ctxext.evaluation.applications.question_answering import QuestionAnswering
from ctxext.evaluation.applications.summarisation import Summarisation
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.maths.intervals import wilson


def test_means_of_right_and_wrong_have_wilson_s_interval_and_others_a_bootstrap_s() -> None:
    low, high = wilson(3, 4)
    assert share_row("a", [1, 0, 1, 1]) == {"metric": "a", "value": 0.75, "low": low, "high": high}
    row = mean_row("a", [0.5] * 30 + [0.0] * 30)
    error = 1.96 * 0.25 / 60**0.5
    assert (row["low"], row["high"]) == (pytest.approx(0.25 - error, abs=0.02), pytest.approx(0.25 + error, abs=0.02))
    assert mean_row("a", [0.0] * 5) == {"metric": "a", "value": 0.0, "low": 0.0, "high": 0.0}


def test_a_statistic_is_resampled_over_all_pairs() -> None:
    values = np.array([0.0] * 50 + [1.0] * 50)
    row = resampled_row("share", 100, lambda drawn: float(values[drawn].mean()))
    assert row["value"] == 0.5
    assert (row["low"], row["high"]) == (pytest.approx(0.4, abs=0.03), pytest.approx(0.6, abs=0.03))


def test_the_budget_is_the_longest_target_and_leaves_half_of_the_trained_length(paired: Callable[..., Any]) -> None:
    ground = paired([Document("a", "x", "one"), Document("b", "y", "one two three")], application="summarisation")
    items = items_of(ground)
    longest = max(len(item.target) for item in items)
    for trained, expected in ((1000, longest + 1), (8, 4)):
        ground.trained_length = trained
        found: Any = Summarisation.of(ground, items)
        assert found.budget == found.room(items[0]) == expected
    ground.trained_length = 1000
    long: Any = QuestionAnswering.of(ground, [items[0]._replace(target=[1] * 50)])
    assert long.budget == 32


def test_a_new_line_ends_a_text_unless_targets_have_several(paired: Callable[..., Any]) -> None:
    ground = paired([Document("a", "x", "one"), Document("b", "y", "one\ntwo")], application="summarisation")
    first, second = items_of(ground)
    assert ending_of(ground, [first]).stop == "\n"
    assert ending_of(ground, [first, second]).stop == ""


@torch.no_grad()
def test_answers_are_written_greedily_after_the_prompt(ending: Ending, item: Callable[..., Item], network: Any) -> None:
    items = [item("a text", "x"), item("a text that is longer by far", "x")]
    for reader, reach in ((WholeReader(network, 64), 1000), (TruncatedReader(network, 64, 14, 1), 14)):
        found = QuestionAnswering(ending, 6).answers(reader, items)
        for asked, text in zip(items, found, strict=True):
            ids = asked.prompt[-(reach - 6) :]
            start = len(ids)
            while len(ids) == start or (len(ids) < start + 6 and not ending.is_over(ids[start:])):
                last = network.hidden(torch.tensor([ids]), torch.arange(len(ids))[None])[0, -1]
                ids = [*ids, int((network.unembedding.weight @ last).argmax())]
            assert text == ending.text(ids[start:]).strip()


def test_a_text_is_said_as_it_is(ending: Ending, network: nn.Module) -> None:
    assert QuestionAnswering(ending, 6).said("so") == "so"
