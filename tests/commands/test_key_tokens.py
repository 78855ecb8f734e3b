"""The evaluator of LongPPL is the untouched base: its key tokens are chosen before anything trains, and kept."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctxext.commands.foundation import prepared
from ctxext.commands.measuring import ground_of, marked
from ctxext.config.schema import Run
from ctxext.evaluation.ground import Ground, KeyTokens
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.text.language import drawn_end
from ctxext.reporting.journal import Journal


@pytest.fixture
def run(tiny: Callable[..., Run]) -> Run:
    return tiny("evaluation.lengths=[32,64]", "evaluation.measures=[longppl]")


@pytest.fixture
def ground(run: Run, tmp_path: Path) -> Ground:
    return ground_of(run, prepared(run, Journal(tmp_path, "a")), drawn_end)


@pytest.fixture
def network(run: Run) -> Any:
    torch.manual_seed(0)
    return run.model.build(run.position, run.mask, run.attention)


def test_the_base_chooses_key_tokens_once(ground: Ground, network: Any, tmp_path: Path) -> None:
    first = marked(ground, network, tmp_path, Journal(tmp_path, "a"), lambda: None).keys
    files = sorted((tmp_path / "measured").glob("*.jsonl"))
    kept = [file.read_bytes() for file in files]
    again = marked(ground, network, tmp_path, Journal(tmp_path, "a"), lambda: None).keys

    assert isinstance(first, KeyTokens)
    assert isinstance(again, KeyTokens)
    assert torch.equal(first.chosen, again.chosen)
    assert first.chosen.shape == (len(ground.windows.names), ground.settings.scored_tokens)
    assert first.evaluator == again.evaluator
    assert first.evaluator.startswith("the base, weights ")
    assert len(files) == 2, "its own scores, and those that the truncation control has as well"
    assert all(kept)
    assert [file.read_bytes() for file in files] == kept


def test_other_weights_are_another_evaluator(ground: Ground, network: Any, tmp_path: Path) -> None:
    first = marked(ground, network, tmp_path, Journal(tmp_path, "a"), lambda: None).keys
    with torch.no_grad():
        network.norm.weight *= 2
    second = marked(ground, network, tmp_path, Journal(tmp_path, "a"), lambda: None).keys

    assert isinstance(first, KeyTokens)
    assert isinstance(second, KeyTokens)
    assert first.evaluator != second.evaluator


def test_without_the_base_or_its_memory_the_reason_is_kept(
    ground: Ground, network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        marked(ground, None, tmp_path, Journal(tmp_path, "a"), lambda: None).keys
        == "its evaluator, the base of the run, is not at hand"
    )

    def short(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(network, "hidden", short)
    assert "out of memory" in str(marked(ground, network, tmp_path, Journal(tmp_path, "a"), lambda: None).keys)


def test_nothing_is_chosen_that_was_not_asked_for(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "through", None)
    plain = dataclasses.replace(ground, settings=dataclasses.replace(ground.settings, measures=["shift"]))
    assert marked(plain, object(), tmp_path, Journal(tmp_path, "a"), lambda: None) is plain
