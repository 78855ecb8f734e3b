"""The protocol in words: whoever measured by another definition has other words."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from ctxext.data.corpus import Corpus
from ctxext.evaluation.ground import Ground, KeyTokens
from ctxext.evaluation.protocol import protocol
from ctxext.evaluation.settings import MEASURES, Evaluation, Rules
from ctxext.evaluation.text.language import Windows
from ctxext.tasks.suite import TASKS

Make = Callable[..., Ground]


@pytest.fixture
def make(
    make_ground: Make, make_settings: Callable[..., Evaluation], corpus: Corpus, tokenizer: Tokenizer
) -> Callable[..., Ground]:
    def ground(tasks: tuple[str, ...] = (), **changes: Any) -> Ground:
        found = make_ground(make_settings(**changes), 32, corpus, tokenizer)
        found.settings.tasks = [*tasks]
        return found

    return ground


def test_every_task_says_what_is_asked_and_with_which_parameters(make: Make) -> None:
    said = protocol(make(TASKS))

    assert {*TASKS, "scoring"} <= said.keys()
    assert "haystack=" in said["passkey"]
    assert said["niah_single"] != said["niah_multikey"]
    assert "likelier" in said["scoring"]
    assert "greedy" in protocol(make(TASKS, scoring="generation"))["scoring"]
    assert "scoring" not in protocol(make())


def test_every_measure_has_its_definition(make: Make) -> None:
    said = protocol(make(measures=[*MEASURES]))

    assert {*MEASURES, "long_gain"} <= said.keys()
    assert "not comparable" in said["sliding_yarn"]
    assert "one every [8] tokens" in said["sliding"]
    assert not {*MEASURES, "long_gain"} & protocol(make()).keys()


def test_the_evaluator_of_key_tokens_is_named(make: Make) -> None:
    ground = make(measures=["longppl"])
    chosen = torch.zeros(4, 10, dtype=torch.bool)
    chosen[0, :3] = True

    told = protocol(replace(ground, keys=KeyTokens("the base, weights 0123", chosen)))["longppl"]

    assert "evaluator: the base, weights 0123, chose 3 of 40" in told
    assert "evaluator: it is not at hand" in protocol(replace(ground, keys="it is not at hand"))["longppl"]


def test_each_rule_of_effective_length_is_put_in_words(make: Make) -> None:
    rules = Rules(nll=[0.05, 0.02], own_nll=[0.1], score=[0.85], own_score=[0.5], absolute=[0.75])
    said = protocol(make(("passkey",), effective=rules))

    found = {key.removeprefix("effective_length ") for key in said if key.startswith("effective_length")}
    assert found == {"nll(0.05)", "nll(0.02)", "own_nll(0.1)", "score(0.85)", "own_score(0.5)", "score>=0.75"}
    assert "0.02 nats above the base's at 32" in said["effective_length nll(0.02)"]


@pytest.mark.parametrize(("documents", "is_few"), [(9, True), (10, False), (0, False)])
def test_few_documents_are_said_to_make_narrow_intervals(make: Make, documents: int, is_few: bool) -> None:
    tokens = torch.ones(documents, 96, dtype=torch.long)
    windows = Windows(tokens, tokens > 0, tokens, [str(number) for number in range(documents)])

    said = protocol(replace(make(), windows=windows))

    assert ("caution" in said) == is_few
    assert not is_few or "9 documents" in said["caution"]


@pytest.mark.parametrize(
    "change", [{"stride": 5}, {"measures": ["shift"]}, {"scored_tokens": 9}, {"repeats": 3}, {"truncated_stride": 2}]
)
def test_another_definition_has_other_words(make: Make, change: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"measures": ["sliding"]}
    assert protocol(make(**usual)) == protocol(make(**usual))
    assert protocol(make(**(usual | change))) != protocol(make(**usual))


def test_the_numbers_of_what_was_measured_stand_beside_the_words(make: Make) -> None:
    said = protocol(make(("passkey",)))

    assert (said["scored_tokens"], said["documents"], said["samples"]) == (10, 4, 4)
    assert "last 10 tokens" in said["perplexity"]
    assert "last 32 tokens" in said["truncated"]
    assert said["truncated_stride"] == 1
    assert protocol(make())["samples"] == 0


def test_how_many_tokens_a_pass_of_the_control_scored_is_said(make: Make) -> None:
    said = protocol(make(truncated_stride=8))

    assert said["truncated_stride"] == 8
    assert "from the last 25 to 32 tokens (a pass scores 8) of its window" in said["truncated"]
