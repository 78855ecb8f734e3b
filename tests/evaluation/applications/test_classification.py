"""The likeliest label, and its scores as counted by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from torch import nn

from ctxext.data.documents import Document
from ctxext.evaluation.applications.application import Item
from ctxext.evaluation.applications.applied import items_of
from ctxext.evaluation.applications.classification import ACCURACY, MACRO, Classification, macro_f1
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.refusal import Refusal

LABELS = ["good", "rather bad", "neither of the two"]


@pytest.fixture
def application(tokenizer: Tokenizer) -> Classification:
    return Classification(LABELS, [tokenizer.encode(label).ids for label in LABELS])


def test_macro_f1_follows_from_a_confusion_matrix() -> None:
    # Rows right, columns said: [[2, 1, 0], [0, 1, 1], [0, 0, 0]]; the last label is said once and never right.
    right, said = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 2])
    assert macro_f1(right, said) == pytest.approx((2 * 2 / (3 + 2) + 2 * 1 / (2 + 2) + 0) / 3)
    assert macro_f1(right[:3], right[:3]) == 1  # labels that are nowhere don't count


def test_rows_and_records_are_of_the_labels_said(application: Classification, item: Callable[..., Item]) -> None:
    right = [0, 0, 0, 1, 1]
    said = [0, 0, 1, 1, 2]
    items = [item("?", LABELS[label]) for label in right]
    likely = np.where(np.eye(3), 0.0, 100.0)
    answers = [likely[label].tolist() for label in said]
    accuracy, macro = application.rows(items, answers)
    assert (accuracy["metric"], accuracy["value"]) == (ACCURACY, pytest.approx(3 / 5))
    assert (macro["metric"], macro["value"]) == (MACRO, pytest.approx((4 / 5 + 1 / 2 + 0) / 3))
    assert [application.said(answer) for answer in answers] == [LABELS[label] for label in said]
    assert [application.scores(*pair)[ACCURACY] for pair in zip(items, answers, strict=True)] == [1, 1, 0, 1, 0]


def test_a_long_label_is_not_unlikely_for_its_length(application: Classification) -> None:
    sizes = [len(tokens) for tokens in application.verbalised]
    assert sizes[2] > sizes[0]
    assert application.said([1.0 * sizes[0], 1.1 * sizes[1], 0.9 * sizes[2]]) == LABELS[2]
    assert application.said([float(size) for size in sizes]) == LABELS[0]  # of equals, the first


@torch.no_grad()
def slow_nll(network: Any, prompt: list[int], answer: list[int]) -> float:
    """Read everything anew for each token of `answer`."""
    total = 0.0
    for count, token in enumerate(answer):
        ids = torch.tensor([prompt + answer[:count]])
        last = network.hidden(ids, torch.arange(ids.shape[1])[None])[0, -1].double()
        weight, bias, _ = network.unembedding
        logits = weight.double() @ last + (0 if bias is None else bias.double())
        total -= float(torch.log_softmax(logits, 0)[token])
    return total


def test_answers_are_the_likelihoods_of_the_labels(
    application: Classification, item: Callable[..., Item], network: nn.Module
) -> None:
    items = [item("a text", "good"), item("b text", "good"), item("a text that is longer by far", "good")]
    for reader, reach in ((WholeReader(network, 64), 1000), (TruncatedReader(network, 64, 20, 1), 20)):
        answers = application.answers(reader, items)
        for found, asked in zip(answers, items, strict=True):
            prompt = asked.prompt[-(reach - application.room(asked)) :]
            expected = [slow_nll(network, prompt, tokens) for tokens in application.verbalised]
            assert found == pytest.approx(expected, rel=1e-4)


def test_labels_are_the_dataset_s_or_those_of_the_pairs(paired: Callable[..., Any], tokenizer: Tokenizer) -> None:
    documents = [Document(str(number), f"text {number}", label) for number, label in enumerate(("no", "yes", "no"))]
    for labels, expected in (([], ["no", "yes"]), (["yes", "maybe", "no"], ["yes", "maybe", "no"])):
        ground = paired(documents, application="classification", labels=labels)
        found: Any = Classification.of(ground, items_of(ground))
        assert found.labels == expected
        assert found.verbalised == [tokenizer.encode(label).ids for label in expected]
    ground = paired(documents, application="classification", labels=["yes", "maybe"])
    with pytest.raises(Refusal, match=r"^dataset.labels lacks 'no', the target of 0$"):
        Classification.of(ground, items_of(ground))
