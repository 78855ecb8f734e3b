"""Drawn texts as counted by hand, their draws, and the bits that targets cost."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from ctxext.data.corpus import Corpus
from ctxext.evaluation.answers.continuation import Ending
from ctxext.evaluation.applications.application import Item
from ctxext.evaluation.applications.generation import Generation, budget_of, drawn, passages, variety
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.reader import TruncatedReader, WholeReader

Oracle = Callable[[nn.Module, Tensor, int, int], tuple[Tensor, Tensor]]


def test_variety_as_counted_by_hand() -> None:
    texts = [["a", "b", "c", "d", "a", "b", "c", "d", "e"], ["a", "b"]]
    found = variety(texts)
    # Runs of four: abcd bcda cdab dabc abcd bcde, one of them again.
    assert found["repetition-4"] == pytest.approx(1 / 6)
    assert found["distinct-1"] == pytest.approx(5 / 11)
    # Pairs: ab bc cd da ab bc cd de | ab.
    assert found["distinct-2"] == pytest.approx(5 / 9)


def test_what_no_text_is_long_enough_for_is_left_out() -> None:
    assert variety([["one"], []]) == {"distinct-1": 1.0}
    assert variety([[]]) == {}


def test_draws_have_the_frequencies_of_the_softmax_and_are_fixed() -> None:
    share = torch.tensor([0.5, 0.0, 0.3, 0.2])
    counts = [0] * 4
    for index in range(2000):
        counts[drawn(share.log(), index, 3)] += 1
    assert counts[1] == 0
    chi = sum((counts[token] - 2000 * p) ** 2 / (2000 * p) for token, p in ((0, 0.5), (2, 0.3), (3, 0.2)))
    assert chi < 13.8  # p > 0.001 with two degrees of freedom
    assert drawn(share.log(), 7, 3) == drawn(share.log(), 7, 3)
    assert len({drawn(torch.zeros(1000), 0, count) for count in range(50)}) > 40


def test_targets_cost_what_a_pass_for_every_token_says(
    ending: Ending, item: Callable[..., Item], network: nn.Module, oracle: Oracle
) -> None:
    items = [item("What follows?", "This, and é."), item("What?", "Nothing", number=1), item("Why?", "Noone", number=2)]
    for reader, reach in ((WholeReader(network, 64), 1000), (TruncatedReader(network, 64, 12, 1), 12)):
        application = Generation(ending, 4)
        answers = application.answers(reader, items)
        for answer, asked in zip(answers, items, strict=True):
            nll, _ = oracle(network, torch.tensor([asked.prompt + asked.target]), len(asked.target), reach)
            assert answer["nll"] == pytest.approx(float(nll.sum()), rel=1e-5)
        bits = application.rows(items, answers)[0]
        total = sum(answer["nll"] for answer in answers) / math.log(2)
        assert (bits["metric"], bits["value"]) == ("bits per byte", pytest.approx(total / (13 + 7 + 5)))
        assert bits["low"] <= bits["value"] <= bits["high"]


def test_texts_depend_on_the_pair_alone_and_not_on_what_is_drawn_beside(
    ending: Ending, item: Callable[..., Item], network: nn.Module
) -> None:
    items = [item("What follows?", "This", number=number) for number in range(3)]
    reader = WholeReader(network, 1000)
    together = [answer["text"] for answer in Generation(ending, 8).answers(reader, items)]
    assert len(set(together)) == 3
    for asked, text in zip(items, together, strict=True):
        assert Generation(ending, 8).answers(reader, [asked])[0]["text"] == text


def test_plain_text_goes_on_from_the_same_place_at_every_length(
    make_settings: Callable[..., Any], make_ground: Callable[..., Ground], corpus: Corpus, tokenizer: Tokenizer
) -> None:
    for scored, room in ((10, 10), (5, 8)):
        settings = make_settings(lengths=[16, 32, 96], scored_tokens=scored, truncated_stride=1)
        ground = make_ground(settings, 32, corpus, tokenizer)
        items = passages(ground)
        count = len(ground.windows.names)
        assert (budget_of(ground), len(items)) == (8, 3 * count)
        for number, found in enumerate(items):
            length, whole = settings.lengths[number // count], ground.windows.tokens[number % count].tolist()
            assert len(found.prompt) + room == length
            assert found.prompt + found.target == whole[-length:][: length - room + scored]
            assert found.target_bytes == int(ground.windows.sizes[number % count, -room:][:scored].sum())
