"""Pairs of short texts, and the ground that they make."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import Tokenizer

from ctxext.data.corpus import write_corpus
from ctxext.data.documents import Document
from ctxext.data.pairs import Pair
from ctxext.data.tokenizer import end_token
from ctxext.evaluation.answers.continuation import Ending
from ctxext.evaluation.applications.application import Item


@pytest.fixture
def ending(tokenizer: Tokenizer) -> Ending:
    return Ending(tokenizer, end_token(tokenizer), "\n")


@pytest.fixture(scope="session")
def item(tokenizer: Tokenizer) -> Callable[..., Item]:
    """Return a function from a source, its targets and a group to the item that they are."""

    def make(source: str, *targets: str, group: str = "", number: int = 0) -> Item:
        pair = Pair(f"pair-{number}", source, targets, group, source)
        prompt, target = tokenizer.encode(source + "\n").ids, tokenizer.encode(targets[0]).ids
        return Item(number, pair, prompt, target, len(targets[0].encode()))

    return make


@pytest.fixture
def paired(tokenizer: Tokenizer, make_settings: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Return a function from documents with targets to a ground of them; keywords are the dataset's and settings."""

    def make(texts: list[Document], /, trained_length: int = 32, labels: Any = (), **given: Any) -> Any:
        about = {"application": given.pop("application"), "held_out": given.pop("held_out", [])}
        return SimpleNamespace(
            settings=make_settings(**given),
            trained_length=trained_length,
            corpus=write_corpus(tmp_path / "pairs", texts, tokenizer),
            tokenizer=tokenizer,
            source=SimpleNamespace(**about, labels=list(labels)),
        )

    return make
