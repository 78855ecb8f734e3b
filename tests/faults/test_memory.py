"""Memory that runs out: the number needed, the setting that helps, and the last step stays good.

No lessons are written meanwhile: tokenizers, which is not Python, ends the process where it gets no memory.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WORDS = ("trainer.batch_tokens=8192", "dataset.recall_share=0.0")


@pytest.fixture(scope="module")
def straight(program: Any) -> Path:
    assert program.run("straight", *WORDS).status == 0
    found: Path = program.root / "straight"
    return found


@pytest.mark.parametrize(("fault", "number"), [("memory", 5), ("cuda", 5), ("little memory", 24 * 2**20)])
def test_it_ends_in_a_sentence_with_the_number_needed_and_what_helps(
    fault: str, number: int, program: Any, straight: Path, left: Callable[[Path], Any], tell: Callable[[str], None]
) -> None:
    folder = program.copy("straight", f"out of {fault}", last=4)
    kept = left(folder).saved
    ended = program.run(folder.name, *WORDS, faults={fault: number})

    assert ended.status == 1, ended.said
    assert "Traceback" not in ended.said
    (sentence,) = ended.sentences
    assert "out of memory at 128 rows of 64 tokens in 1 part" in sentence
    assert " predicted, " in sentence
    assert " a token, " in sentence
    assert " fits by estimate; " in sentence or " takes less; " in sentence
    assert "step 4 is saved" in sentence
    assert left(folder).saved.items() >= {4: kept[4]}.items()
    assert program.run(folder.name, *WORDS).status == 0
    assert left(folder) == left(straight)
    tell(f"memory: {fault}: {sentence}")
