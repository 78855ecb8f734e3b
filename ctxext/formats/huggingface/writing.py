"""A Hugging Face folder that transformers 4 and 5 load without remote code: configuration, weights, tokenizer."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ctxext.formats.companions import TOKENIZER, Companions
from ctxext.formats.huggingface.homes import Home, home
from ctxext.formats.huggingface.weights import write_weights
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
    folder.mkdir(parents=True)
    write_json(folder / "config.json", config(place, context_length, companions))
    companions.write(folder, context_length)
    tokenizer.save(str(folder / TOKENIZER))
    write_weights(folder, decoder)
    return place


def config(place: Home, context_length: int, companions: Companions) -> dict[str, Any]:
    """Return config.json in the keys of both readers, with the ids of the `companions`."""
    # No pad_token_id: readers freeze the embedding of that row when the model is trained further.
    ids = {key: companions.generation_config[key] for key in IDS if key in companions.generation_config}
    return {"max_position_embeddings": context_length} | place.config | ids | DTYPES
