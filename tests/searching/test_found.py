"""The option files of what was found: chosen by name, they build the same member, and say what they are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctxext.commands import listing
from ctxext.config.folders import including
from ctxext.config.schema import Run
from ctxext.position.longrope import LongRope
from ctxext.searching.found import NAME, write_options

LONG = tuple(1 + pair / 10 for pair in range(32))
SETTINGS = {
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 256,
    "short_factor": [1.0] * 32,
    "long_factor": list(LONG),
    "attention_factor": 1.2345678901234567,
}
FACTS = {"base": "pkg://tiny", "trained": 256, "length": 1024}


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """Return a folder with the option files of a find."""
    write_options(tmp_path, "ctxext.position.longrope.LongRope", SETTINGS, FACTS)
    return tmp_path


@pytest.mark.parametrize("word", [f"position={NAME}", f"+method={NAME}"])
def test_the_option_and_its_overlay_build_the_position_that_was_found(
    word: str, built: Callable[..., Run], found: Path
) -> None:
    with including(found):
        run = built(word, f"hydra.searchpath=[file://{found}]")
    assert run.position == LongRope(
        rope_theta=10000.0,
        factor=4.0,
        original_max_position_embeddings=256,
        short_factor=(1.0,) * 32,
        long_factor=LONG,
        attention_factor=1.2345678901234567,
    )
    assert run.name == (NAME if word.startswith("+") else "base")


def test_the_listing_tells_what_was_found_and_for_what(found: Path) -> None:
    with including(found):
        options = [option for group in ("position", "method") for option in listing.listed(group)]
    position, method = (option for option in options if option.name == NAME)
    line = "LongRoPE by `ctxext search`: the factors that were found for pkg://tiny, from 256 to 1024 tokens"
    assert position.line == method.line == line
    assert position.paper == method.paper == "Ding et al. 2024, 2402.13753"
    assert position.export == method.export == "hf llama longrope"
