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


@pytest.fixture(scope="module")
def refused(program: Any, straight: Path) -> dict[str, Any]:
    """Return by class how a run ends that is typed otherwise; all are typed in one process."""
    folders = {key: program.copy("straight", f"other-{key}", last=4).name for key in CLASSES}
    ended = program.run_all({folders[key]: words for key, words in CLASSES.items()})
    return {key: ended[folder] for key, folder in folders.items()}


def differing(ended: Any) -> list[str]:
    """Return the keys that the table of what differs has."""
    rows = [line.split() for line in ended.said.splitlines() if line.endswith("  refused")]
    return [row[0] for row in rows]


@pytest.fixture(scope="module")
def allowed(program: Any, refused: dict[str, Any]) -> dict[str, Any]:
    """Return by class how the same run ends where what differs is allowed by name."""
    lines = {
        f"other-{key}": (*CLASSES[key], f"trainer.resume_allow=[{','.join(differing(ended))}]")
        for key, ended in refused.items()
    }
    kept = {name: sorted(path.name for path in (program.root / name / "checkpoints").iterdir()) for name in lines}
    assert all(steps == ["step-00000004"] for steps in kept.values()), "a refusal changes nothing"
    found: dict[str, Any] = program.run_all(lines)
    return found


@pytest.mark.parametrize("key", CLASSES)
def test_what_differs_is_refused_in_a_table_and_allowed_by_name(
    key: str, refused: dict[str, Any], allowed: dict[str, Any]
) -> None:
    assert len(CLASSES) == 12
    keys = differing(refused[key])

    assert refused[key].status == 2, refused[key].said
    (sentence,) = refused[key].sentences
    assert key in keys
    assert set(keys) <= {key} | BESIDE.get(key, set())
    assert all(f"{name} was " in sentence for name in keys)
    assert f"trainer.resume_allow=[{','.join(keys)}]" in sentence

    ended = allowed[f"other-{key}"]
    assert ended.status == 0, ended.said
    assert "going on from step-00000004" in ended.said
    assert "  allowed" in ended.said


def test_a_run_that_is_refused_keeps_the_config_that_its_checkpoints_fit(program: Any, straight: Path) -> None:
    folder = program.copy("straight", "kept", last=4)
    before = (folder / "config.yaml").read_bytes()
    assert program.run(folder.name, "seed=9", faults={"terminate in the base": 2}).status == 75
    assert (folder / "config.yaml").read_bytes() == before
    assert program.run(folder.name, "trainer.save_every=1").status == 0
    assert "save_every: 1" in (folder / "config.yaml").read_text()


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
