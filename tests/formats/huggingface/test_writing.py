"""What stands in the files of an export, for readers that are not installed here too."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from tokenizers import Tokenizer

from ctxext.formats.huggingface.writing import write
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope, RopeInterp, RopeNtk, Yarn
from ctxext.refusal import Refusal

DecoderOf = Callable[..., Decoder]
TEXTS = [
    "",
    "the code is 12345",
    "  two  spaces\n\ttab",
    "naïve 東京 🙂",
    "<|endoftext|>",
    "a<|endoftext|>b",
    "\x00\x7f",
]


def written(folder: Path, decoder: Decoder, tokenizer: Tokenizer) -> dict[str, Any]:
    write(folder, decoder, tokenizer, 256)
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


def test_the_keys_of_both_readers_are_written_for_yarn(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    config = written(tmp_path / "hf", decoder_of(Yarn(5e5, 4, 64, 16, 2, 1.1)), tokenizer)

    scaling = {
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": 64,
        "beta_fast": 16.0,
        "beta_slow": 2.0,
        "attention_factor": 1.1,
        "truncate": True,
    }
    assert config["rope_parameters"] == {**scaling, "rope_theta": 500000.0}
    assert config["rope_scaling"] == scaling
    assert config["rope_theta"] == 500000.0
    assert config["original_max_position_embeddings"] == 64
    assert config["max_position_embeddings"] == 256
    assert config["dtype"] == config["torch_dtype"] == "float32"


def test_the_keys_of_both_readers_are_written_for_the_other_encodings(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    plain = written(tmp_path / "rope", decoder_of(Rope(10000)), tokenizer)
    assert plain["rope_parameters"] == {"rope_type": "default", "rope_theta": 10000.0}
    assert plain["rope_scaling"] is None
    assert plain["rope_theta"] == 10000.0
    assert "original_max_position_embeddings" not in plain

    linear = written(tmp_path / "interp", decoder_of(RopeInterp(10000.0, 4.0)), tokenizer)
    assert linear["rope_parameters"] == {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}
    assert linear["rope_scaling"] == {"rope_type": "linear", "factor": 4.0}

    ntk = written(tmp_path / "ntk", decoder_of(RopeNtk(10000.0, 4.0)), tokenizer)
    assert ntk["rope_parameters"]["rope_type"] == "default"
    assert ntk["rope_scaling"] is None
    assert ntk["rope_theta"] == ntk["rope_parameters"]["rope_theta"] == pytest.approx(10000 * 4 ** (8 / 6))


def test_a_window_on_all_layers_is_a_mistral(tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer) -> None:
    config = written(tmp_path / "hf", decoder_of(mask=SlidingWindow(32)), tokenizer)
    assert config["architectures"] == ["MistralForCausalLM"]
    assert config["model_type"] == "mistral"
    assert config["sliding_window"] == 32


def test_biases_make_a_qwen2_whose_layers_all_have_the_window(
    tmp_path: Path, decoder_of: DecoderOf, biased: DecoderGeometry, tokenizer: Tokenizer
) -> None:
    whole = written(tmp_path / "whole", decoder_of(geometry=biased), tokenizer)
    assert (whole["architectures"], whole["model_type"]) == (["Qwen2ForCausalLM"], "qwen2")
    assert whole["use_sliding_window"] is False
    assert "sliding_window" not in whole

    windowed = written(tmp_path / "windowed", decoder_of(mask=SlidingWindow(32), geometry=biased), tokenizer)
    assert (windowed["architectures"], windowed["model_type"]) == (["Qwen2ForCausalLM"], "qwen2")
    assert (windowed["use_sliding_window"], windowed["sliding_window"]) == (True, 32)
    assert (windowed["max_window_layers"], windowed["layer_types"]) == (0, ["sliding_attention"] * 2)


def test_ids_come_from_the_tokenizer_and_nothing_is_sampled(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    config = written(tmp_path / "hf", decoder_of(), tokenizer)
    generation = json.loads((tmp_path / "hf" / "generation_config.json").read_text())
    assert config["eos_token_id"] == config["bos_token_id"] == 0
    assert "pad_token_id" not in config
    assert generation == {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "do_sample": False}


def test_transformers_tokenizer_gives_the_same_ids(tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer) -> None:
    from transformers import AutoTokenizer

    written(tmp_path / "hf", decoder_of(), tokenizer)
    theirs = AutoTokenizer.from_pretrained(tmp_path / "hf")

    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        assert theirs.encode(text) == theirs.encode(text, add_special_tokens=False) == ids
        assert theirs.decode(ids) == text
    assert theirs.model_max_length == 256
    assert theirs.eos_token_id == theirs.pad_token_id == 0
    assert len(theirs) == tokenizer.get_vocab_size()


def test_weights_are_float32_under_the_readers_names(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    written(tmp_path / "hf", decoder_of().half(), tokenizer)
    with safe_open(tmp_path / "hf" / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert "model.layers.1.self_attn.q_proj.weight" in file.keys()  # noqa: SIM118
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F32"}  # noqa: SIM118


def test_a_tokenizer_with_more_tokens_than_rows_is_refused(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    small = decoder_of(geometry=DecoderGeometry(200, 32, 48, 1, 4, 2, 8, True, 1e-5))
    with pytest.raises(Refusal, match=r"at least the tokenizer's \d+, got 200"):
        write(tmp_path / "hf", small, tokenizer, 256)
    assert not (tmp_path / "hf").exists()
