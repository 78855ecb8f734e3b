"""Rotary encodings in Hugging Face's words: which type each takes, and what is noted of it."""

import math
from typing import Any

import pytest
import torch

from ctxext.formats.huggingface.writing.reasons import NotExportable
from ctxext.formats.huggingface.writing.rope_notes import notes
from ctxext.formats.huggingface.writing.ropes import STILL, both_spellings, is_static, parameters
from ctxext.position.alibi import Alibi
from ctxext.position.clipped import ClippedRope
from ctxext.position.dynamic import RopeDynamicNtk
from ctxext.position.longrope import LongRope
from ctxext.position.nope import Nope
from ctxext.position.partial import PartialRope, PRope
from ctxext.position.resonance import ResonanceRope
from ctxext.position.rope import Rope, RopeAbf, RopeByParts, RopeInterp, RopeNtk, Yarn

YARN = Yarn(500000.0, 4.0, 64, 16.0, 2.0, 0.1 * math.log(4) + 1)
ONE_SET = LongRope(10000.0, 4.0, 64, (1.0, 1.5, 3.0, 4.0), (1.0, 1.5, 3.0, 4.0), 1.1)


def rope_of(position: Any) -> dict[str, Any]:
    return parameters(position, position, 8)


def test_yarn_is_spelt_out() -> None:
    assert rope_of(YARN) == {
        "rope_type": "yarn",
        "rope_theta": 500000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 64,
        "beta_fast": 16.0,
        "beta_slow": 2.0,
        "attention_factor": pytest.approx(1.1386294),
        "truncate": True,
    }


@pytest.mark.parametrize("position", [Yarn(10000.0, 4.0, 64, 32.0, 1.0, 1.2), RopeByParts(10000.0, 4.0, 64, 32.0, 1.0)])
def test_a_sharpness_that_is_not_yarns_makes_it_a_longrope_of_the_same_frequencies(position: Any) -> None:
    rope = rope_of(position)

    assert rope["rope_type"] == "longrope"
    assert rope["short_factor"] == rope["long_factor"]
    divided = Rope(10000.0).frequencies(8).double() / torch.tensor(rope["long_factor"], dtype=torch.float64)
    torch.testing.assert_close(divided.float(), position.frequencies(8))
    assert rope["attention_factor"] == rope["short_mscale"] == rope["long_mscale"] == position.amplitude
    assert sum("vLLM" in note for note in notes(rope)) == 1


def test_pairs_that_are_kept_are_divided_by_exactly_one() -> None:
    assert rope_of(RopeByParts(10000.0, 4.0, 4096, 32.0, 1.0))["long_factor"][0] == 1.0


def test_a_pair_that_stands_still_is_divided_by_a_finite_number() -> None:
    factors = rope_of(ClippedRope(10000.0, 0.5))["long_factor"]
    assert factors[-1] == STILL
    assert max(factors[:-1]) < 100


@pytest.mark.parametrize(
    ("position", "kind", "theta"),
    [
        (Rope(10000), "default", 10000.0),
        (RopeNtk(10000.0, 4.0), "default", 10000 * 4 ** (8 / 6)),
        (RopeAbf(10000.0, 500000.0), "default", 500000.0),
        (RopeInterp(10000.0, 4.0), "linear", 10000.0),
        (PRope(10000.0, 0.5), "proportional", 10000.0),
        (PartialRope(10000.0, 0.5), "default", 10000.0),
        (Nope(), "default", 10000.0),
    ],
)
def test_each_has_its_type_and_its_theta(position: Any, kind: str, theta: float) -> None:
    rope = rope_of(position)
    assert rope["rope_type"] == kind
    assert rope["rope_theta"] == pytest.approx(theta)


def test_both_spellings_say_the_same() -> None:
    spelt = both_spellings(rope_of(YARN))
    assert spelt["rope_parameters"] == spelt["rope_scaling"] | {"rope_theta": 500000.0}
    assert spelt["rope_theta"] == 500000.0
    assert spelt["original_max_position_embeddings"] == 64
    plain = both_spellings(rope_of(Rope(10000.0)))
    assert plain["rope_scaling"] is None
    assert "original_max_position_embeddings" not in plain


def test_an_encoding_without_words_is_refused_by_the_one_that_was_chosen() -> None:
    with pytest.raises(NotExportable, match="position=alibi"):
        parameters(Alibi(), Alibi(), 8)


def test_static_is_what_turns_texts_of_any_length_alike() -> None:
    assert is_static(YARN)
    assert not is_static(ONE_SET)
    assert not is_static(RopeDynamicNtk(10000.0, 4.0, 64))
    assert not is_static(Alibi())


@pytest.mark.parametrize(
    ("position", "words"),
    [
        (YARN, []),
        (Rope(10000.0), []),
        (PRope(10000.0, 0.5), ["Only transformers from 5 on knows rope_type=proportional"]),
        (ONE_SET, ["vLLM takes", "Readers that drop these keys take 1.1547"]),
        (ResonanceRope(10000.0, 1.0, 64, 32.0, 1.0, 1.0), ["vLLM takes"]),
        (LongRope(10000.0, 4.0, 64, (1.0,) * 4, (2.0,) * 4, 1.1), ["vLLM takes", "Readers that drop", "With a cache"]),
        (RopeDynamicNtk(10000.0, 4.0, 64), ["With a cache", "max_position_embeddings is the trained length"]),
    ],
)
def test_what_a_user_of_another_reader_must_know_is_noted(position: Any, words: list[str]) -> None:
    found = [note for note in notes(rope_of(position)) if not note.startswith("The final attention_factor")]
    assert len(found) == len(words)
    assert all(note.startswith(word) for note, word in zip(found, words, strict=True))
