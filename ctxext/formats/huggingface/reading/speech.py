"""How a Hugging Face model speaks: control tokens, chat template, generation, from wherever folders keep them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctxext.formats.companions import TOKENIZER, Companions, read_companions
from ctxext.formats.huggingface.reading.keys import Keys
from ctxext.formats.json_files import read_json
from ctxext.formats.kept import kept
from ctxext.formats.trial import tried

WORDS = ("bos_token", "eos_token", "pad_token")
SPECIAL = "special_tokens_map.json"
DERIVED = "_from_model_config"
"""The key by which transformers marks ids that nobody chose."""


def read_speech(folder: Path, config: Keys, rows: int) -> Companions:
    """Return what goes with the tokenizer in `folder`, whose network has `rows` in its vocabulary.

    Ids that generation_config.json lacks are those of `config`, or of the words that the tokenizer's settings name.
    """
    found = read_companions(folder)
    special = read_json(folder / SPECIAL) if (folder / SPECIAL).is_file() else {}
    settings = special | found.tokenizer_config
    generation = {key: value for key, value in found.generation_config.items() if key != DERIVED}
    for word in WORDS:
        key = f"{word}_id"
        stated = (possible(keys.get(key), rows) for keys in (generation, config.content))
        ids = next((ids for ids in stated if ids is not None), None)
        generation[key] = id_of(folder, settings.get(word)) if ids is None else ids
    generation = {key: value for key, value in generation.items() if value is not None}
    return Companions(settings, generation, found.chat_template)


def possible(ids: object, rows: int) -> Any:
    """Return `ids`, one or a list, without those that a vocabulary of `rows` hasn't, such as -1 for none; or None."""
    if isinstance(ids, list):
        return [one for one in ids if possible(one, rows) is not None] or None
    return ids if isinstance(ids, int) and not isinstance(ids, bool) and 0 <= ids < rows else None


def id_of(folder: Path, word: object) -> int | None:
    """Return the id of a control `word` as settings state it, or None where they don't, or the tokenizer hasn't it."""
    text = word.get("content") if isinstance(word, dict) else word
    if not isinstance(text, str):
        return None
    return ids_in(folder / TOKENIZER).get(text)


@kept
def ids_in(file: Path) -> Mapping[str, int]:
    """Return the id of each token in the tokenizer.json `file`, control tokens among them."""
    ids: dict[str, int] = tried(file).get_vocab(with_added_tokens=True)
    return ids
