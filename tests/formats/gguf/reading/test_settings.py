"""Keys of a GGUF file's own architecture: none that changes what is computed is passed over."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctxext.formats.gguf.reading.header import Header
from ctxext.formats.gguf.reading.settings import ModelSettings, model_settings
from ctxext.refusal import Refusal


def settings_of(**keys: Any) -> ModelSettings:
    values = {"general.architecture": "llama"} | {f"llama.{key}": value for key, value in keys.items()}
    return model_settings(Header(Path("m.gguf"), values, {}))


def test_values_are_read_without_the_architectures_name() -> None:
    settings = settings_of(context_length=128, block_count=[2, 2])
    assert settings.has("context_length")
    assert not settings.has("vocab_size")
    assert settings.count("context_length") == 128
    assert settings.count("block_count") == 2
    assert settings.count("vocab_size", 7) == 7
    assert settings.text("rope.scaling.type", "linear") == "linear"


@pytest.mark.parametrize("typed", [1e-5, 0.1, 3.3, 500000.0, 1.1386294])
def test_numbers_stored_in_32_bits_are_those_that_were_typed(typed: float) -> None:
    assert settings_of(**{"rope.freq_base": float(np.float32(typed))}).number("rope.freq_base") == typed


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), True, "8", []])
def test_what_is_no_number_above_0_is_refused(value: Any) -> None:
    with pytest.raises(Refusal, match=r"m\.gguf: llama\.context_length must be"):
        settings_of(context_length=value).number("context_length")


def test_a_key_that_is_not_read_is_refused_unless_it_is_0() -> None:
    settings_of(expert_count=0)
    with pytest.raises(Refusal, match=r"m\.gguf: llama\.expert_count is 8, which is not read"):
        settings_of(expert_count=8)
    with pytest.raises(Refusal, match=r"m\.gguf: llama\.attention\.scale is 0\.5, which is not read"):
        settings_of(**{"attention.scale": 0.5})


@pytest.mark.parametrize(("name", "hint"), [("bert", ""), ("lama", "; did you mean 'llama'?"), (None, ""), (3, "")])
def test_an_unknown_architecture_is_refused_by_name(name: Any, hint: str) -> None:
    with pytest.raises(Refusal) as refusal:
        model_settings(Header(Path("m.gguf"), {"general.architecture": name}, {}))
    known = "gemma2, gemma3, llama, olmo2, qwen2, qwen3, smollm3"
    rule = f"m.gguf: general.architecture must be one of {known}, the kinds that are read, got {name!r}"
    assert str(refusal.value) == rule + hint


def test_a_text_that_is_none_is_refused() -> None:
    with pytest.raises(Refusal, match=r"llama\.rope\.scaling\.type must be a text, got 3"):
        settings_of(**{"rope.scaling.type": 3}).text("rope.scaling.type", "linear")
