"""What many tests need: the config and the run that a command line stands for, and every member of the three seams.

A test that takes `composition` runs for every legal choice of a position, a mask and an attention mechanism; one that
takes `each_position`, `each_mask` or `each_attention` for every member. They are found by their option files, so that a
new member is tested without a word here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from ctxext.config import legality, lengths
from ctxext.config.building import build
from ctxext.config.folders import CONFIG_DIR, options
from ctxext.config.schema import Run
from ctxext.refusal import Refusal
from ctxext.seams import Attention, Mask, Position

torch.set_num_threads(1)

SEAMS = ("position", "mask", "attention")
# Small enough for dense oracles; every method acts from token 16 on.
SCALE = (
    "base=none",
    "base.trained_length=16",
    "context_length=64",
    "evaluation.lengths=[16,32,64]",
    "evaluation.scored_tokens=8",
)


class Composition(NamedTuple):
    """A choice for each seam, under its options' names."""

    name: str
    position: Position
    mask: Mask
    attention: Attention


@contextmanager
def composing() -> Iterator[Callable[..., DictConfig]]:
    """Provide a function from overrides to the config that they compose to."""
    lengths.register()
    ConfigStore.instance().store("schema", Run)
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        yield lambda *overrides: compose("config", list(overrides))


@pytest.fixture
def composed() -> Iterator[Callable[..., DictConfig]]:
    """Return a function from overrides to the config that they compose to."""
    with composing() as function:
        yield function


@pytest.fixture
def built(composed: Callable[..., DictConfig]) -> Callable[..., Run]:
    """Return a function from overrides to the run that they build."""
    return lambda *overrides: build(composed(*overrides))


@cache
def small_runs() -> dict[str, dict[str, Run]]:
    """Return for each seam and each of its options a small run that has it, and the defaults in the other seams."""
    with composing() as composed:
        return {seam: {name: build(composed(*SCALE, f"{seam}={name}")) for name in options(seam)} for seam in SEAMS}


def members(seam: str) -> dict[str, Any]:
    """Return the members of `seam` by their options' names."""
    return {name: getattr(run, seam) for name, run in small_runs()[seam].items()}


@cache
def compositions() -> list[Composition]:
    """Return every legal choice."""
    legal, run = [], small_runs()["position"]["rope"]
    for names in product(*(members(seam) for seam in SEAMS)):
        position, mask, attention = (members(seam)[name] for seam, name in zip(SEAMS, names, strict=True))
        try:
            legality.check(replace(run, position=position, mask=mask, attention=attention))
        except Refusal:
            continue
        legal.append(Composition("-".join(names), position, mask, attention))
    return legal


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for them every composition, or every member of a seam."""
    if "composition" in metafunc.fixturenames:
        metafunc.parametrize("composition", compositions(), ids=lambda composition: composition.name)
    for seam in SEAMS:
        if f"each_{seam}" in metafunc.fixturenames:
            metafunc.parametrize(f"each_{seam}", members(seam).values(), ids=members(seam).keys())
