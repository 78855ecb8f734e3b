"""A Hugging Face folder that transformers 4 and 5 load without remote code: configuration, weights, tokenizer."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ctxext.data.tokenizer import end_token
from ctxext.formats.homes import Home, home
from ctxext.formats.weights import write_weights
from ctxext.model.decoder import Decoder
from ctxext.refusal import require


def write(folder: Path, decoder: Decoder, tokenizer: Tokenizer, context_length: int) -> Home:
    """Write `decoder` and `tokenizer` into the new `folder` for texts of `context_length` tokens; return its home.

    Raises NotExportable, before anything is written, if no reader can hold the composition.
    """
    place = home(decoder.geometry, decoder.position, decoder.mask, decoder.attention)
    known, rows = tokenizer.get_vocab_size(with_added_tokens=True), decoder.geometry.vocab_size
    require(known <= rows, f"model.vocab_size must be at least the tokenizer's {known}, got {rows}")
    end = end_token(tokenizer)
    word = tokenizer.id_to_token(end)
    assert word is not None
    folder.mkdir(parents=True)
    write_json(folder / "config.json", config(place, context_length, end))
    write_json(folder / "generation_config.json", generation_config(end))
    write_json(folder / "tokenizer_config.json", tokenizer_config(word, context_length))
    tokenizer.save(str(folder / "tokenizer.json"))
    write_weights(folder, decoder)
    return place


def config(place: Home, context_length: int, end: int) -> dict[str, Any]:
    """Return config.json in the keys of both readers; `end` is the id that ends a text."""
    # No pad_token_id: readers freeze the embedding of that row when the model is trained further.
    return (
        {"max_position_embeddings": context_length}
        | place.config
        | {
            "bos_token_id": end,
            "eos_token_id": end,
            "dtype": "float32",
            "torch_dtype": "float32",
        }
    )


def generation_config(end: int) -> dict[str, Any]:
    """Return generation_config.json: greedy; without the ids, readers would take 1 and 2 whatever the tokenizer."""
    return {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "do_sample": False}


def tokenizer_config(end: str, context_length: int) -> dict[str, Any]:
    """Return tokenizer_config.json; `end` is the token that ends a text, and none is added at its start."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",  # transformers 4 refuses 5's own name
        "model_max_length": context_length,
        "bos_token": end,
        "eos_token": end,
        "pad_token": end,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
    }


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write `content` to `file`."""
    file.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
