"""What stands in the files of an export, for readers that are not installed here too."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from ctxext.attention.softmax import Softmax
from ctxext.formats.companions import Companions, plain_companions
from ctxext.formats.huggingface.writing.folder import write
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry, VanillaGeometry
from ctxext.position.learned import Learned
from ctxext.position.learned_interp import LearnedInterp
from ctxext.position.nope import Nope
from ctxext.position.rope import RopeInterp
from ctxext.position.sinusoidal import Sinusoidal
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
    write(folder, decoder, tokenizer, plain_companions(tokenizer), 256)
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


def test_the_keys_of_both_readers_are_written(tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer) -> None:
    config = written(tmp_path / "hf", decoder_of(RopeInterp(5e5, 4)), tokenizer)

    assert config["rope_parameters"] == {"rope_type": "linear", "factor": 4.0, "rope_theta": 500000.0}
    assert config["rope_scaling"] == {"rope_type": "linear", "factor": 4.0}
    assert config["rope_theta"] == 500000.0
    assert config["max_position_embeddings"] == 256
    assert config["dtype"] == config["torch_dtype"] == "float32"


def test_a_table_is_as_long_as_its_rows_and_any_other_as_the_texts(tmp_path: Path, tokenizer: Tokenizer) -> None:
    vanilla = VanillaGeometry(301, 32, 48, 1, 4, 1e-5)
    for position, rows in ((Learned(300), 300), (LearnedInterp(64, 200), 200), (Sinusoidal(1e4), 256), (Nope(), 256)):
        decoder = Decoder(vanilla, position, IntraDocument(), Softmax())
        folder = tmp_path / type(position).__name__
        config = written(folder, decoder, tokenizer)
        assert config["n_positions"] == config["max_position_embeddings"] == rows
        assert load_file(folder / "model.safetensors")["transformer.wpe.weight"].shape == (rows, 32)


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
    assert config["pad_token_id"] is None
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


def test_a_token_that_the_tokenizer_puts_in_front_is_there_in_the_reader_too(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    from transformers import AutoTokenizer

    with_start = Tokenizer.from_str(tokenizer.to_str())
    with_start.encode_special_tokens = True  # which its file doesn't hold
    with_start.post_processor = TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
    written(tmp_path / "hf", decoder_of(), with_start)
    theirs = AutoTokenizer.from_pretrained(tmp_path / "hf")

    for text in TEXTS:
        assert theirs.encode(text) == with_start.encode(text).ids == [0, *tokenizer.encode(text).ids]
        assert theirs.encode(text, add_special_tokens=False) == tokenizer.encode(text).ids


def test_what_came_with_the_base_goes_out_unchanged_but_for_the_length(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>", "model_max_length": 64}
    companions = Companions(settings, {"eos_token_id": [0, 7], "temperature": 0.6, "do_sample": True}, "{{ messages }}")

    write(tmp_path / "hf", decoder_of(), tokenizer, companions, 256)

    read = {name: json.loads((tmp_path / "hf" / name).read_text()) for name in FILES}
    assert read["tokenizer_config.json"] == settings | {"model_max_length": 256}
    assert read["generation_config.json"] == companions.generation_config
    assert (tmp_path / "hf" / "chat_template.jinja").read_text() == "{{ messages }}"
    ids = {key: read["config.json"][key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    assert ids == {"bos_token_id": None, "eos_token_id": [0, 7], "pad_token_id": None}


FILES = ("config.json", "tokenizer_config.json", "generation_config.json")


def test_a_tokenizer_with_more_tokens_than_rows_is_refused(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    small = decoder_of(geometry=DecoderGeometry(200, 32, 48, 1, 4, 2, 8, True, 1e-5))
    with pytest.raises(Refusal, match=r"at least the tokenizer's \d+, got 200"):
        write(tmp_path / "hf", small, tokenizer, plain_companions(tokenizer), 256)
    assert not (tmp_path / "hf").exists()
