"""A run that is typed otherwise than it was saved: refused with what differs, unless that is allowed by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CLASSES = {
    "seed": ("seed=1",),
    "trainer.learning_rate": ("trainer.learning_rate=0.01",),
    "trainer.steps": ("trainer.steps=8",),
    "trainer.batch_tokens": ("trainer.batch_tokens=512",),
    "trainer.accumulate": ("trainer.accumulate=2",),
    "trainer.weight_decay": ("trainer.weight_decay=0.5",),
    "context_length": ("context_length=48", "evaluation.lengths=[48]"),
    "position": ("position.rope_theta=20000.0",),
    "mask": ("mask=causal",),
    "attention": ("attention=log_n",),
    "data": ("dataset.count=41",),
    "base": ("base.steps=4",),
}
BESIDE = {key: {"base"} for key in ("seed", "trainer.accumulate", "trainer.weight_decay", "position", "mask")}
BESIDE |= {"data": {"tokenizer", "base"}}
"""What differs with it: other data make another tokenizer, and what the base is trained with makes another base."""


@pytest.fixture(scope="module")
def straight(program: Any) -> Path:
    assert program.run("straight").status == 0
    found: Path = program.root / "straight"
    return found


@pytest.mark.parametrize("key", CLASSES)
def test_what_differs_is_refused_in_a_table_and_allowed_by_name(key: str, program: Any, straight: Path) -> None:
    assert len(CLASSES) == 12
    folder = program.copy("straight", f"other-{key}", last=4)
    refused = program.run(folder.name, *CLASSES[key])

    assert refused.status == 2, refused.said
    (sentence,) = refused.sentences
    table = [line.split() for line in refused.said.splitlines() if line.endswith("  refused")]
    differing = [row[0] for row in table]
    assert key in differing
    assert set(differing) <= {key} | BESIDE.get(key, set())
    assert all(f"{name} was " in sentence for name in differing)
    allowed = f"trainer.resume_allow=[{','.join(differing)}]"
    assert allowed in sentence
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["step-00000004"]

    ended = program.run(folder.name, *CLASSES[key], allowed)
    assert ended.status == 0, ended.said
    assert "going on from step-00000004" in ended.said
    assert "  allowed" in ended.said


def test_a_name_that_does_not_exist_is_refused(program: Any, straight: Path) -> None:
    folder = program.copy("straight", "misspelt", last=4)
    ended = program.run(folder.name, "seed=1", "trainer.resume_allow=[trainer.learning_rte]")

    assert ended.status == 2
    (sentence,) = ended.sentences
    assert (
        "trainer.resume_allow: nothing is called 'trainer.learning_rte'; did you mean 'trainer.learning_rate'?"
        in sentence
    )


def test_another_number_of_threads_is_a_warning(program: Any, straight: Path, left: Callable[[Path], Any]) -> None:
    folder = program.copy("straight", "threads", last=4)
    ended = program.run(folder.name, faults={"threads": 2})

    assert ended.status == 0
    assert "threads was 1 and is 2: what follows may differ in its last bits" in ended.said
    assert [row["step"] for row in left(folder).rows] == [1, 2, 3, 4, 5, 6]
