"""Sizes, masks and mechanisms of GGUF files, and what is known by heart of some architectures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.attention.softcap import SoftCap
from ctxext.attention.softmax import Softmax
from ctxext.formats.gguf.reading.file import GgufBase
from ctxext.formats.gguf.reading.geometries import query_scalar
from ctxext.formats.gguf.reading.settings import model_settings
from ctxext.mask.document import IntraDocument
from ctxext.mask.layered import Layered
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.families import Gemma2Geometry, Gemma3Geometry, Smollm3Geometry
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal

Write = Callable[..., Path]
Make = Callable[..., Any]


@pytest.fixture
def base(tmp_path: Path, transformers_model: Make, gguf_of: Write) -> Callable[..., GgufBase]:
    """The maker of files of an architecture, with keys changed."""

    def make(architecture: str, **keys: Any) -> GgufBase:
        spelt = {f"{architecture}.{key.replace('__', '.')}": value for key, value in keys.items()}
        return GgufBase(gguf_of(tmp_path / "m.gguf", transformers_model(architecture), architecture, keys=spelt))

    return make


def test_a_llama_is_read_with_its_sizes(base: Callable[..., GgufBase]) -> None:
    file = base("llama")
    assert file.geometry() == DecoderGeometry(320, 64, 96, 3, 4, 2, 32, True, 1e-5)
    assert file.trained_length() == 128
    assert file.members() == (Rope(20000.0), IntraDocument(), Softmax())


def test_a_silent_file_gets_the_defaults_of_llama_cpp(base: Callable[..., GgufBase]) -> None:
    silent = dict.fromkeys(("attention__value_length", "rope__dimension_count", "rope__freq_base", "vocab_size"))
    file = base("llama", **silent)
    assert file.geometry() == DecoderGeometry(320, 64, 96, 3, 4, 2, 32, True, 1e-5)
    assert file.members()[0] == Rope(10000.0)


def test_numbers_that_are_the_same_in_all_layers_may_be_listed(base: Callable[..., GgufBase]) -> None:
    assert base("llama", attention__head_count_kv=[2, 2, 2]).geometry().num_key_value_heads == 2
    with pytest.raises(Refusal, match=r"head_count_kv must be the same in all layers, got \[2, 1, 2\]"):
        base("llama", attention__head_count_kv=[2, 1, 2]).geometry()


def test_each_fourth_layer_of_a_smollm3_does_not_turn(base: Callable[..., GgufBase]) -> None:
    geometry = base("smollm3").geometry()
    assert isinstance(geometry, Smollm3Geometry)
    assert geometry.no_rope_layers == (1, 1, 1, 0, 1)


def test_a_gemma2_caps_and_has_windows_in_turn(base: Callable[..., GgufBase]) -> None:
    file = base("gemma2")
    geometry, (_, mask, attention) = file.geometry(), file.members()
    assert isinstance(geometry, Gemma2Geometry)
    assert (geometry.query_pre_attn_scalar, geometry.final_logit_softcapping) == (32.0, 30.0)
    assert mask == Layered("SL", 8, 8, "constant")
    assert mask.layer(0, 3) == SlidingWindow(8)
    assert attention == SoftCap(5.0)


def test_a_gemma3_has_five_local_layers_to_a_long_one(base: Callable[..., GgufBase]) -> None:
    file = base("gemma3")
    geometry, (position, mask, attention) = file.geometry(), file.members()
    assert isinstance(geometry, Gemma3Geometry)
    assert geometry.local_layers == (1, 1, 1, 1, 1, 0, 1)
    assert geometry.rope_local_base_freq == 10000.0
    assert (position, attention) == (Rope(20000.0), Softmax())
    assert [mask.layer(index, 7) == SlidingWindow(8) for index in range(7)] == [bool(n) for n in geometry.local_layers]


@pytest.mark.parametrize("pattern", [3, [True, True, False, True, True, False, True]])
def test_a_gemma3_may_state_its_pattern(base: Callable[..., GgufBase], pattern: Any) -> None:
    file = base("gemma3", attention__sliding_window_pattern=pattern, rope__freq_base_swa=15000.0)
    geometry = file.geometry()
    assert isinstance(geometry, Gemma3Geometry)
    assert geometry.local_layers == (1, 1, 0, 1, 1, 0, 1)
    assert geometry.rope_local_base_freq == 15000.0
    assert file.members()[1].layer(2, 7) == IntraDocument()


@pytest.mark.parametrize(("layers", "scalar"), [(26, 256.0), (46, 144.0)])
def test_the_largest_gemma2_alone_scales_queries_by_its_width(
    base: Callable[..., GgufBase], layers: int, scalar: float
) -> None:
    settings = model_settings(base("gemma2").header)
    sizes = {"num_hidden_layers": layers, "hidden_size": 4608, "num_attention_heads": 32, "head_dim": 256}
    assert query_scalar(settings, sizes) == scalar


def test_a_mistral_keeps_its_window(base: Callable[..., GgufBase]) -> None:
    assert base("llama", attention__sliding_window=16).members()[1] == SlidingWindow(16)


@pytest.mark.parametrize(
    ("architecture", "keys", "sentence"),
    [
        ("llama", {"attention__value_length": 16}, r"llama\.attention\.value_length must be 32, got 16"),
        ("llama", {"vocab_size": 321}, r"llama\.vocab_size is 321, but token_embd\.weight has 320 rows"),
        ("llama", {"block_count": None}, r"llama\.block_count must be a number above 0, got nothing"),
        ("llama", {"embedding_length": 0}, r"llama\.embedding_length must be a number above 0, got 0"),
        ("llama", {"block_count": 2.5}, r"llama\.block_count must be a whole number, got 2\.5"),
        ("llama", {"attention__head_count": 3}, r"model\.num_attention_heads must be a multiple"),
        (
            "qwen2",
            {"attention__sliding_window": 8},
            r"qwen2\.attention\.sliding_window is 8, and which layers it is of",
        ),
        ("gemma3", {"attention__sliding_window_pattern": [True]}, r"sliding_window_pattern must name 7 layers, got 1"),
    ],
)
def test_what_no_body_computes_is_refused_by_its_key(
    base: Callable[..., GgufBase], architecture: str, keys: dict[str, Any], sentence: str
) -> None:
    file = base(architecture, **keys)
    with pytest.raises(Refusal, match=sentence):
        (file.geometry(), file.members())


def test_layers_are_bounded(base: Callable[..., GgufBase]) -> None:
    with pytest.raises(Refusal, match=r"llama\.block_count must be at most 1024, got 1025"):
        base("llama", block_count=1025).geometry()
