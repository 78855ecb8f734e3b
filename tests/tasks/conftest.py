"""What samples are made of here: a byte a token, where text and tokens can be told from each other, or a tokenizer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from tokenizers import Tokenizer

from ctxext.data.tokenizer import train_tokenizer
from ctxext.maths.counted import generator
from ctxext.tasks import recall
from ctxext.tasks.samples import Material
from ctxext.tasks.suite import Suite

SAID = [
    " Seven ships {verb} the cape before dawn, and none of the {noun} saw them go!",
    " Nobody {verb} what the {noun} had been told, save two.",
    " Rain {verb} over the {noun}; then it stopped.",
    " Did the {noun} ever ask who {verb} it?",
]
VERBS = "passed knew fell mended painted carried counted weighed measured wanted tasted lifted".split()  # noqa: SIM905
NOUNS = "sailors bakers roofs hills clocks goats apples kettles drums cellars baskets ladders".split()  # noqa: SIM905


def sentences() -> list[str]:
    """Return sentences as a dataset has them, some of which name keys and values of facts, and some very long."""
    draw = generator(0, "sentences")
    said = [
        SAID[place % len(SAID)].format(verb=VERBS[draw.integers(len(VERBS))], noun=NOUNS[draw.integers(len(NOUNS))])
        for place in range(300)
    ]
    facts = [fact for index in range(20) for fact in recall.draw_facts(generator(0, "said", index), 5)]
    said += [text for fact in facts for text in (fact.statement, f" {fact.name} of {fact.code}, it is said.")]
    said += [" " + "unbroken" * 40 + ".", f" {' and '.join(NOUNS * 20)}."]
    return [said[place] for place in draw.permutation(len(said))]


SENTENCES = sentences()


@dataclass(frozen=True)
class Bytes:
    """A byte a token; there are more ids, for tasks that take any."""

    sentences: Sequence[str]
    ordinary: Sequence[int] = range(4096)
    beginning: Sequence[int] = ()

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, tokens: list[int]) -> str:
        return bytes(tokens).decode()


@dataclass(frozen=True)
class Trained:
    """A small trained tokenizer."""

    tokenizer: Tokenizer
    sentences: Sequence[str]
    beginning: Sequence[int] = ()

    @property
    def ordinary(self) -> Sequence[int]:
        return range(3, self.tokenizer.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, tokens: list[int]) -> str:
        return self.tokenizer.decode(tokens)


MATERIALS: dict[str, Any] = {
    "bytes": Bytes(SENTENCES),
    "trained": Trained(train_tokenizer([recall.document(0, index, 200) for index in range(20)], 600), SENTENCES),
}


@pytest.fixture(scope="session", params=MATERIALS)
def material(request: pytest.FixtureRequest) -> Material:
    return MATERIALS[request.param]


@pytest.fixture(scope="session")
def characters() -> Bytes:
    return MATERIALS["bytes"]


@pytest.fixture(scope="session")
def trained() -> Trained:
    return MATERIALS["trained"]


@pytest.fixture(scope="session")
def suite() -> Suite:
    """Return the tasks as the option file has them."""
    file = Path(__file__).parents[2] / "conf" / "evaluation" / "default.yaml"
    merged: Any = OmegaConf.merge(OmegaConf.structured(Suite), OmegaConf.load(file).parameters)
    return OmegaConf.to_object(merged)  # type: ignore[return-value]


def chance_if_uniform(counts: Sequence[int]) -> float:
    """Return the chance of a chi-square as large under equal chances (Wilson and Hilferty's cube root)."""
    expected, degrees = sum(counts) / len(counts), len(counts) - 1
    statistic = sum((count - expected) ** 2 / expected for count in counts)
    spread = 2 / (9 * degrees)
    return 0.5 * math.erfc(((statistic / degrees) ** (1 / 3) - (1 - spread)) / math.sqrt(2 * spread))


@pytest.fixture(scope="session")
def p_uniform() -> Callable[[Sequence[int]], float]:
    return chance_if_uniform
