"""A Hugging Face folder that transformers 4 and 5 load without remote code: configuration, weights, tokenizer."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ctxext.formats.companions import TOKENIZER, Companions
from ctxext.formats.huggingface.writing.homes import Home, home
from ctxext.formats.huggingface.writing.tensors import LARGEST, tensors_of, write_tensors
from ctxext.formats.json_files import write_json
from ctxext.model.decoder import Decoder
from ctxext.refusal import require

IDS = ("bos_token_id", "eos_token_id")
DTYPES = {"dtype": "float32", "torch_dtype": "float32"}


def write(folder: Path, decoder: Decoder, tokenizer: Tokenizer, companions: Companions, context_length: int) -> Home:
    """Write `decoder`, `tokenizer` and its `companions` into the new `folder`, for texts of `context_length` tokens.

    Return the home. Raises NotExportable, before anything is written, if no reader can hold the composition.
    """
    place = home(decoder.geometry, decoder.position, decoder.mask, decoder.attention)
    known, rows = tokenizer.get_vocab_size(with_added_tokens=True), decoder.geometry.vocab_size
    require(known <= rows, f"model.vocab_size must be at least the tokenizer's {known}, got {rows}")
    length = decoder.position.limit() or context_length
    folder.mkdir(parents=True)
    write_json(folder / "config.json", config(place, length, companions))
    companions.write(folder, context_length)
    tokenizer.save(str(folder / TOKENIZER))
    write_tensors(folder, tensors_of(decoder, place.config["model_type"], length), LARGEST)
    return place


def config(place: Home, length: int, companions: Companions) -> dict[str, Any]:
    """Return config.json in the keys of both readers, for texts of `length` tokens and with ids of the `companions`."""
    # Some readers begin with ids of their own; they freeze the embedding of a pad id when the model is trained further.
    ids = {key: companions.generation_config.get(key) for key in IDS} | {"pad_token_id": None}
    lengths = dict.fromkeys(LENGTHS.get(place.config["model_type"], (MAXIMUM,)), length)
    return lengths | place.config | ids | DTYPES


MAXIMUM = "max_position_embeddings"
LENGTHS = {"gpt2": (MAXIMUM, "n_positions")}
"""The keys of the longest text where they are others than usual."""
