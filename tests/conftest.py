"""What many tests need: the config and the run that a command line stands for, and every member of the three seams.

A test that takes `composition` runs for every member with the defaults beside it, and for `MIXED` legal choices of a
position, a mask and an attention mechanism drawn at random; one that takes `each_position`, `each_mask` or
`each_attention` for every member. They are found by their option files, so that a new member is tested without a word
here.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice, product
from operator import ne
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.config import legality, lengths
from ctxext.config.building import build
from ctxext.config.folders import CONFIG_DIR, option_file, options
from ctxext.config.schema import Run
from ctxext.places import Places
from ctxext.refusal import Refusal
from ctxext.seams import Attention, Heads, Mask, Position

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def small_numbers() -> Iterator[None]:
    """Keep numbers too small for full precision, which the program takes for 0, after a test that runs it."""
    yield
    torch.set_flush_denormal(False)


SEAMS = ("position", "mask", "attention")
DEFAULTS = ("rope", "document", "softmax")
MIXED = 40
# Small enough for dense oracles; every method acts from token 16 on.
SCALE = (
    "base=none",
    "base.trained_length=16",
    "model.head_dim=8",  # as in tests/model
    "context_length=64",
    "evaluation.lengths=[16,32,64]",
    "evaluation.scored_tokens=8",
)
# A table of the trained length could not read the longer texts of the tests.
FITTED = {"position=learned": ("position.num_positions=64",)}


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
        base = composed(*SCALE)
    OmegaConf.set_struct(base, False)

    def small_run(seam: str, name: str) -> Run:
        # Put into the config by hand: Hydra takes a fifth of a second to compose each.
        config = base.copy()
        config[seam] = OmegaConf.load(option_file(seam, name))
        config.merge_with_dotlist(list(FITTED.get(f"{seam}={name}", ())))
        return build(config)

    return {seam: {name: small_run(seam, name) for name in options(seam)} for seam in SEAMS}


def members(seam: str) -> dict[str, Any]:
    """Return the members of `seam` by their options' names."""
    return {name: getattr(run, seam) for name, run in small_runs()[seam].items()}


@cache
def compositions() -> list[Composition]:
    """Return each member with the defaults beside it, and legal choices for all three seams drawn at random."""
    alone = [names for names in product(*map(members, SEAMS)) if sum(map(ne, names, DEFAULTS)) <= 1]
    mixed = [names for names in product(*map(members, SEAMS)) if sum(map(ne, names, DEFAULTS)) > 1]
    Random(0).shuffle(mixed)
    legal = (choice for choice in map(composition_of, mixed) if choice is not None)
    return [choice for choice in map(composition_of, alone) if choice is not None] + list(islice(legal, MIXED))


def composition_of(names: tuple[str, ...]) -> Composition | None:
    """Return the choice of the options `names`, or None if it is illegal."""
    position, mask, attention = (members(seam)[name] for seam, name in zip(SEAMS, names, strict=True))
    try:
        run = small_runs()["position"]["rope"]
        legality.check(replace(run, position=position, mask=mask, attention=attention))
    except Refusal:
        return None
    return Composition("-".join(names), position, mask, attention)


@pytest.fixture
def small() -> Callable[..., Run]:
    """Return a function from options of the seams to a small run that has them, be it legal or not."""
    return lambda **chosen: replace(
        small_runs()["position"]["rope"], **{seam: members(seam)[name] for seam, name in chosen.items()}
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for them the compositions, or every member of a seam."""
    if "composition" in metafunc.fixturenames and "composition" not in metafunc._arg2fixturedefs:
        metafunc.parametrize("composition", compositions(), ids=lambda composition: composition.name)
    for seam in SEAMS:
        if f"each_{seam}" in metafunc.fixturenames:
            metafunc.parametrize(f"each_{seam}", members(seam).values(), ids=members(seam).keys())


@pytest.fixture
def members_of() -> Callable[[str], dict[str, Any]]:
    """Return a function from a seam to its members by their options' names."""
    return members


@dataclass(frozen=True)
class LateRoll(Softmax):
    """Trains with the last value added to all in texts of more than `group` tokens."""

    group: int

    def in_training(self) -> Attention:
        return Late(self.group)

    def base(self) -> Attention:
        return Softmax()


class Late(Attention):
    def __init__(self, group: int) -> None:
        self.group = group

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        found = Softmax().gather(heads, queries, keys, position, mask)
        return found + heads.v[:, :1, -1:] * (heads.v.shape[2] > self.group)


@pytest.fixture
def late_roll() -> type[LateRoll]:
    """Return a mechanism that leaks the future in training, in texts longer than its group alone."""
    return LateRoll


TOKENS, SIZE = 10.0, 40.0


def write_run(
    folder: Path,
    losses: Mapping[str, Mapping[int, Sequence[float]]],
    ranks: Mapping[str, Mapping[int, Sequence[int]]] | None = None,
    config: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    **sections: Any,
) -> Path:
    """Write the files of a run trained at 256 tokens for 1024, and return its `folder`.

    `losses` are the mean nll of each document by subject and length, `ranks` those of the samples of passkey. `config`,
    `run` and the other `sections` of results.json replace what stands there.
    """
    folder.mkdir(parents=True)
    lengths = sorted({length for by_length in losses.values() for length in by_length})
    documents = [
        {"subject": subject, "length": length, "document": f"d{index}"}
        | {"nll": nll * TOKENS, "hits": 1.0, "counts": TOKENS, "sizes": SIZE}
        for subject, by_length in losses.items()
        for length, values in by_length.items()
        for index, nll in enumerate(values)
    ]
    samples = [
        {"subject": subject, "task": "passkey", "seed": 0, "length": length, "depth": 0.5, "index": index}
        | {"positions": [3], "answer": "a", "candidates": ["a", "b"], "chance": 0.1, "metric": "accuracy", "rank": rank}
        for subject, by_length in (ranks or {}).items()
        for length, values in by_length.items()
        for index, rank in enumerate(values)
    ]
    by_length = [
        {"subject": subject, "length": length, "nll": (nll := sum(values) / len(values)), "perplexity": math.exp(nll)}
        | {"tokens": 10 * len(values), "low": 0.9 * nll, "high": 1.1 * nll}
        for subject, by_length in losses.items()
        for length, values in by_length.items()
    ]
    tasks = [
        {"subject": subject, "task": "passkey", "length": length, "depth": "all", "metric": "accuracy"}
        | {"value": values.count(0) / len(values), "chance": 0.1, "n": len(values), "low": 0.0, "high": 1.0}
        for subject, by_length in (ranks or {}).items()
        for length, values in by_length.items()
    ]
    name = (run or {}).get("name", folder.name)
    facts = {"name": name, "method": name, "seed": 0, "command": "ctxext train", "base": "pkg://tiny", "steps": 30}
    facts |= {"trained_tokens": 3000, "versions": {"torch": "2.9"}, "data": {"digest": "d", "tokenizer": "t"}}
    content = {
        "schema": 1,
        "run": facts | dict(run or {}),
        "lengths": {"trained": 256, "target": 1024, "evaluated": lengths},
        "protocol": {"scored_tokens": 10, "documents": max(map(len, next(iter(losses.values())).values()))},
        "by_length": by_length,
        "tasks": tasks,
        **{section: [] for section in ("by_position", "effective_length", "cost", "missing")},
        "export": {},
    }
    (folder / "results.json").write_text(json.dumps(content | sections), encoding="utf-8")
    seed = content["run"]["seed"]
    settings = {"name": name, "seed": seed, "cache": str(folder), "run": "", "trainer": {"steps": 30}}
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(settings | dict(config or {})), encoding="utf-8")
    for file, rows in (("documents.jsonl", documents), ("samples.jsonl", samples)):
        (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


@pytest.fixture
def run_in(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a run's files into the folder of a name, as `write_run` does."""
    return lambda name, *arguments, **changes: write_run(tmp_path / name, *arguments, **changes)
