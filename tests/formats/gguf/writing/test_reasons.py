"""Why compositions have no home in llama.cpp."""

from collections.abc import Callable
from typing import Any

import pytest

from ctxext.attention.softmax import Softmax
from ctxext.formats.gguf.writing.homes import home
from ctxext.formats.gguf.writing.reasons import REASONS, in_no_body, refused, unheard
from ctxext.formats.huggingface.writing.reasons import NotExportable
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope

GEOMETRY = DecoderGeometry(301, 32, 64, 4, 4, 2, 8, True, 1e-5)
HOUSED = {
    "position": "rope rope_interp rope_ntk rope_abf rope_by_parts yarn llama3 longrope resonance_rope p_rope "
    "clipped_rope rope_nope nope drope",
    "mask": "document causal",
    "attention": "softmax shifted_sparse temperature",
}


def refusal(seam: str, member: Any) -> str:
    """Return why a decoder with the `member` has no home, or nothing."""
    untouched: dict[str, Any] = {"position": Rope(10000.0), "mask": IntraDocument(), "attention": Softmax()}
    try:
        home(GEOMETRY, **untouched | {seam: member})
    except NotExportable as error:
        return str(error)
    return ""


@pytest.mark.parametrize("seam", ["position", "mask", "attention"])
def test_each_option_has_a_home_or_a_sentence_of_its_own(
    seam: str, members_of: Callable[[str], dict[str, Any]]
) -> None:
    refusals = {name: refusal(seam, member) for name, member in members_of(seam).items()}
    assert {name for name, why in refusals.items() if not why} == set(HOUSED[seam].split())
    assert all(why.startswith(f"{seam}=") for why in refusals.values() if why)
    assert not [name for name, why in refusals.items() if "no architecture does the same" in why]


def test_each_sentence_ends_a_refusal() -> None:
    assert all(why[0].islower() and not why.endswith(".") for why in REASONS.values())


def test_a_refusal_names_the_option_and_the_architecture() -> None:
    assert (
        str(refused("position", Rope(2.0))) == "position=rope has no home in llama.cpp: no architecture does the same"
    )
    assert str(unheard("position", Rope(2.0), "qwen3")) == (
        "position=rope has no home in llama.cpp's qwen3: it divides no frequencies one by one, since it doesn't read"
        " rope_freqs.weight"
    )
    assert str(in_no_body("model.a=1", "olmo2")).startswith("model.a=1 has no home in llama.cpp's olmo2")
