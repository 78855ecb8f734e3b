"""The short evaluation while training."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ctxext.commands.foundation import prepared
from ctxext.commands.probing import make_probe, probed, shortfall
from ctxext.config.schema import Run
from ctxext.refusal import Refusal
from ctxext.reporting.journal import Journal


def made(run: Run, folder: Path) -> tuple[Any, Callable[[int], dict[str, float]]]:
    torch.manual_seed(0)
    network = run.model.build(run.position, run.mask, run.attention)
    return network, make_probe(network, run, prepared(run, Journal(folder, "a")))


def test_it_measures_every_few_steps_and_at_the_last(tiny: Callable[..., Run], tmp_path: Path) -> None:
    network, probe = made(tiny("evaluation.every=3", "trainer.steps=7"), tmp_path)
    network.train()
    found = {step: probe(step) for step in range(1, 8)}

    assert [step for step, values in found.items() if values] == [3, 6, 7]
    assert found[3] == found[6] == found[7]
    assert found[3].keys() == {"validation/nll/32", "validation/nll/64"}
    assert all(4 < nll < 8 for nll in found[3].values())
    assert network.training


def test_measuring_changes_nothing_of_the_training(tiny: Callable[..., Run], tmp_path: Path) -> None:
    network, probe = made(tiny("evaluation.every=1"), tmp_path)
    before, draw = {name: t.clone() for name, t in network.state_dict().items()}, torch.get_rng_state()
    probe(1)

    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert torch.equal(draw, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_none_is_made_where_none_is_asked_for(tiny: Callable[..., Run], tmp_path: Path) -> None:
    _, probe = made(tiny("dataset.validation_share=0.0"), tmp_path)

    assert probe(4) == {}


def test_text_that_is_too_short_for_it_is_refused_by_its_own_key(tiny: Callable[..., Run], tmp_path: Path) -> None:
    with pytest.raises(
        Refusal, match=r"evaluation\.every needs documents held out of 64 tokens .* change evaluation\.ev"
    ):
        made(tiny("evaluation.every=1", "dataset.validation_share=0.0"), tmp_path)


PAIRS = ("dataset=sentiment", "dataset.words=120", "evaluation.every=1", "dataset.validation_share=0.2")


@pytest.mark.parametrize(
    ("words", "lengths", "said"),
    [
        ((), [32, 64], ""),
        (
            ("context_length=1024", "trainer.batch_tokens=1024"),
            [32],
            r"measures pairs of 32 tokens: none held out for validation has 1024",
        ),
        (
            ("base.trained_length=512", "base.batch_tokens=512", "context_length=1024", "trainer.batch_tokens=1024"),
            [1],
            r"pairs of \d+ tokens: none .* has 512 or 1024",
        ),
        (("dataset.validation_share=0.0",), [], "measures nothing: no pairs are held out"),
    ],
)
def test_of_pairs_those_lengths_are_measured_that_there_are(
    words: tuple[str, ...], lengths: list[int], said: str, tiny: Callable[..., Run], tmp_path: Path
) -> None:
    run = tiny(*PAIRS, "evaluation.lengths=[1024]", *words)
    data = prepared(run, Journal(tmp_path, "a"))
    spans = sorted(int(span) - 1 for span in np.diff(data.validation.starts))
    wanted = [spans[-8] if length == 1 else length for length in lengths]  # the longest that eight have

    assert probed(run, data) == wanted
    assert re.search(said, shortfall(run, data)) if said else shortfall(run, data) == ""
    _, probe = made(run, tmp_path)
    assert probe(1).keys() == {f"validation/nll/{length}" for length in wanted}


def test_pairs_shorter_than_what_is_scored_are_scored_whole(tiny: Callable[..., Run], tmp_path: Path) -> None:
    _, probe = made(tiny(*PAIRS, "evaluation.scored_tokens=900", "evaluation.lengths=[1024]"), tmp_path)

    assert all(4 < nll < 8 for nll in probe(1).values())
