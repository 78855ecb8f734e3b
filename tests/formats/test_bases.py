"""Bases: Hugging Face folders as a run's start."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from ctxext.formats import bases
from ctxext.formats.bases import base_folder, read_geometry, read_position, read_trained_length, tokenizer_file
from ctxext.formats.huggingface.writing import write
from ctxext.formats.huggingface.weights import read_weights
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal

CONFIG = {
    "model_type": "llama",
    "vocab_size": 301,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}


def folder_with(folder: Path, **changes: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    return folder


def test_what_was_written_is_read_back(
    tmp_path: Path, decoder_of: Callable[..., Decoder], tokenizer: Tokenizer
) -> None:
    decoder = decoder_of(Rope(20000.0))
    write(tmp_path / "hf", decoder, tokenizer, 256)

    assert read_geometry(tmp_path / "hf") == decoder.geometry
    assert read_position(tmp_path / "hf") == decoder.position
    assert read_trained_length(tmp_path / "hf") == 256
    assert tokenizer_file(tmp_path / "hf").is_file()


def test_a_qwen2_is_read_back_with_its_biases(
    tmp_path: Path, decoder_of: Callable[..., Decoder], biased: DecoderGeometry, tokenizer: Tokenizer
) -> None:
    decoder = decoder_of(geometry=biased)
    write(tmp_path / "hf", decoder, tokenizer, 256)
    ours, geometry = decoder.state_dict(), read_geometry(tmp_path / "hf")
    tensors = read_weights(tmp_path / "hf", geometry)

    assert geometry == biased
    assert geometry.attention_bias is True
    assert tensors.keys() == ours.keys()
    assert all(torch.equal(tensors[name], ours[name]) for name in ours)
    assert sum(name.endswith("proj.bias") for name in tensors) == 3 * geometry.num_hidden_layers


def test_a_windowed_qwen2_is_no_base(
    tmp_path: Path, decoder_of: Callable[..., Decoder], biased: DecoderGeometry, tokenizer: Tokenizer
) -> None:
    write(tmp_path / "hf", decoder_of(mask=SlidingWindow(32), geometry=biased), tokenizer, 256)
    with pytest.raises(Refusal, match=r"use_sliding_window must be False, got True"):
        read_geometry(tmp_path / "hf")


def test_a_silent_config_gets_the_defaults_of_llama(tmp_path: Path) -> None:
    from transformers import AutoConfig

    folder = folder_with(tmp_path)
    theirs, geometry = AutoConfig.from_pretrained(folder), read_geometry(folder)

    for key in ("num_key_value_heads", "head_dim", "rms_norm_eps", "tie_word_embeddings"):
        assert getattr(geometry, key) == getattr(theirs, key)
    assert read_position(folder).rope_theta == theirs.rope_parameters["rope_theta"]


def test_theta_is_read_in_the_spelling_of_either_reader(tmp_path: Path) -> None:
    older = folder_with(tmp_path, rope_theta=5e5, rope_scaling=None)
    assert read_position(older) == Rope(5e5)
    newer = folder_with(tmp_path, rope_parameters={"rope_type": "default", "rope_theta": 5e5})
    assert read_position(newer) == Rope(5e5)


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_scaling": {"type": "linear", "factor": 4.0}},
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}},
        {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}},
        {"rope_parameters": "yarn"},
        {"rope_theta": "many"},
    ],
)
def test_a_base_that_is_already_extended_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match=r"config\.json: rope"):
        read_position(folder_with(tmp_path, **changes))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "gpt2"),
        ("hidden_act", "gelu"),
        ("attention_bias", True),
        ("vocab_size", None),
        ("hidden_size", -1),
        ("num_attention_heads", 0),
        ("num_hidden_layers", "2"),
        ("tie_word_embeddings", 1),
    ],
)
def test_what_our_decoder_would_compute_otherwise_is_refused_by_its_key(tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(Refusal, match=rf"config\.json: {key} must be"):
        read_geometry(folder_with(tmp_path, **{key: value}))


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", "[" * 100000])
def test_a_config_that_is_no_json_object_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(Refusal, match=r"config\.json: (cannot be read as JSON|must be a JSON object)"):
        read_trained_length(tmp_path)


def test_a_base_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refusal, match=r"base\.path=/nowhere: no Hugging Face folder"):
        base_folder("/nowhere")
    with pytest.raises(Refusal, match=r"base\.path=pkg://\.\./data: no base of this name is shipped"):
        base_folder("pkg://../data")


def test_a_shipped_base_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bases" / "tiny").mkdir(parents=True)
    monkeypatch.setattr(bases, "files", lambda package: tmp_path)

    assert base_folder("pkg://tiny") == tmp_path / "bases" / "tiny"
    with pytest.raises(Refusal, match="did you mean 'tiny'"):
        base_folder("pkg://tini")
