"""A run that is resumed at any step is the run that never was interrupted, whatever else is chosen."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

LAST = 20
WORDS = (f"trainer.steps={LAST}", "trainer.save_every=1", f"trainer.keep={LAST}", "dataset.count=20")
DROPOUT = ("trainer.adapter=lora", "trainer.lora_rank=2", "trainer.lora_dropout=0.2")


class Kind(NamedTuple):
    """How many batches are made ahead, in how many parts a step is taken, and whether an adapter drops out."""

    ahead: int
    accumulate: int
    drops: bool

    @property
    def words(self) -> tuple[str, ...]:
        return (*WORDS, f"trainer.accumulate={self.accumulate}", *(DROPOUT if self.drops else ()))

    @property
    def name(self) -> str:
        return f"ahead{self.ahead}-parts{self.accumulate}{'-dropout' * self.drops}"


KINDS = [Kind(1, 1, False), Kind(4, 3, False), Kind(1, 3, True), Kind(4, 1, True)]
"""Every pair of choices is among them."""


@pytest.fixture(scope="module")
def points() -> list[tuple[Kind, int]]:
    draw = random.Random(3)
    return [(kind, draw.randrange(1, LAST)) for kind in KINDS[1:3] for _ in range(2)]


def test_each_step_that_is_resumed_from_gives_what_it_gave_without(
    program: Any,
    points: list[tuple[Kind, int]],
    left: Callable[[Any], Any],
    times: Callable[[int, int], int],
    tell: Callable[[str], None],
) -> None:
    wanted = times(4, len(KINDS) * (LAST - 1))
    chosen = points if wanted == 4 else [(kind, step) for kind in KINDS for step in range(1, LAST)]
    differing, again = 0, 0
    for kind, step in chosen:
        faults = {"ahead": kind.ahead}
        straight = program.root / kind.name
        if not straight.exists():
            assert program.run(kind.name, *kind.words).status == 0
            again += is_more_than_once_round(left(straight).rows)
        folder = program.copy(kind.name, f"{kind.name}-{step}", last=step)
        # Two steps are enough: those after them begin where these end. The last goes on to the end.
        cut = {} if step == points[0][1] or step + 2 >= LAST else {"terminate": step + 2}
        ended = program.run(folder.name, *kind.words, faults=faults | cut)
        assert ended.status == (75 if cut else 0), ended.said
        assert f"going on from step-{step:08d}" in ended.said
        last = step + 2 if cut else LAST
        mine, theirs = left(folder), left(straight)
        differing += mine.rows != theirs.rows[:last]
        differing += mine.saved != {number: theirs.saved[number] for number in range(1, last + 1)}
        differing += mine.scalars != {tag: values[:last] for tag, values in theirs.scalars.items()}
    kinds = {kind.name for kind, _ in chosen}
    tell(f"resume: {len(chosen)} points in {len(kinds)} kinds, {differing} differ; more than once round in {again}")
    assert not differing
    assert again == len(kinds)


def is_more_than_once_round(rows: list[dict[str, Any]]) -> bool:
    """Whether a window of the text comes twice in `rows`."""
    windows = [name for row in rows for name in row["samples"] if name.startswith("text/")]
    return len(set(windows)) < len(windows)
