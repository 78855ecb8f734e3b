"""A byte-level BPE tokenizer in the keys of GGUF, with llama.cpp's name for how it cuts a text."""

import json
from typing import Any

from tokenizers import Tokenizer, models

from ctxext.data.tokenizer import end_token
from ctxext.formats.companions import Companions
from ctxext.formats.gguf.pretokenizers import WHOLE, pre_tokenizer
from ctxext.formats.huggingface.writing.reasons import NotExportable
from ctxext.refusal import require

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""The types of tokens in llama.cpp."""
NAMES = ("smollm", "gpt-2", "qwen2", "llama-bpe", "dbrx")
"""The names that are written: one for each way to cut a text."""
PLAIN_BPE = {
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "byte_fallback": (None, False),
    "dropout": (None, 0.0),
}
UNKNOWN = "the tokenizer has no name in llama.cpp"
NOT_COMPOSED = "Texts must be in Unicode's form NFC: llama.cpp doesn't bring them into it, as this tokenizer does."


def vocabulary(tokenizer: Tokenizer, companions: Companions, rows: int) -> dict[str, Any]:
    """Return the keys below tokenizer.ggml. for `tokenizer` and its `companions`, padded to an embedding of `rows`.

    Raises NotExportable, naming the part, for a tokenizer that llama.cpp would read as another.
    """
    known = tokenizer.get_vocab_size(with_added_tokens=True)
    require(known <= rows, f"model.vocab_size must be at least the tokenizer's {known}, got {rows}")
    stored = json.loads(tokenizer.to_str())
    name = cutting(stored)
    words, types = tokens(tokenizer, rows)
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in stored["model"]["merges"]]
    keys = {"model": "gpt2", "pre": name, "tokens": words, "token_type": types}
    return keys | ({"merges": merges} if merges else {}) | ids(tokenizer, companions)


def chat_template(companions: Companions) -> str:
    """Return the chat template among the `companions`, or nothing; older folders keep it in their settings."""
    template = companions.chat_template or companions.tokenizer_config.get("chat_template")
    return template if isinstance(template, str) else ""


def notes(tokenizer: Tokenizer) -> tuple[str, ...]:
    """Return what a user of llama.cpp must know of `tokenizer`."""
    return (NOT_COMPOSED,) if json.loads(tokenizer.to_str())["normalizer"] else ()


def cutting(stored: dict[str, Any]) -> str:
    """Return llama.cpp's name for how the `stored` tokenizer, a tokenizer.json, cuts a text before it merges."""
    model, normalizer = stored["model"], stored["normalizer"]
    if model["type"] != "BPE" or (stored["decoder"] or {}).get("type") != "ByteLevel":
        raise NotExportable(f"{UNKNOWN}: it must be a byte-level BPE, and its model is {model['type']}")
    for key, plain in PLAIN_BPE.items():
        if model.get(key) not in plain:
            raise NotExportable(f"{UNKNOWN}: {key} of its model is {model[key]!r}")
    if normalizer not in (None, {"type": "NFC"}):
        raise NotExportable(f"{UNKNOWN}: its normalizer is {normalizer['type']}")
    parts, takes_whole = steps(stored), bool(model.get("ignore_merges"))
    for name in NAMES:
        example = Tokenizer(models.BPE())
        example.pre_tokenizer = pre_tokenizer(name)
        if parts == steps(json.loads(example.to_str())) and takes_whole == (name in WHOLE):
            return name
    raise NotExportable(f"{UNKNOWN}: ignore_merges is {takes_whole} and its pre-tokenizer {json.dumps(parts)}")


def steps(stored: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of the pre-tokenizer of a `stored` tokenizer in turn, without what changes offsets alone."""
    whole = stored["pre_tokenizer"]
    parts = (whole["pretokenizers"] if whole["type"] == "Sequence" else [whole]) if whole else []
    return [{key: value for key, value in part.items() if key != "trim_offsets"} for part in parts]


def tokens(tokenizer: Tokenizer, rows: int) -> tuple[list[str], list[int]]:
    """Return the tokens and their types, one for each of the `rows` of an embedding."""
    added = tokenizer.get_added_tokens_decoder()
    words = [f"[PAD{token}]" for token in range(rows)]
    types = [UNUSED] * rows
    for word, token in tokenizer.get_vocab(with_added_tokens=True).items():
        words[token] = word
        types[token] = NORMAL if token not in added else CONTROL if added[token].special else USER_DEFINED
    return words, types


def ids(tokenizer: Tokenizer, companions: Companions) -> dict[str, Any]:
    """Return the control tokens' ids, and whether they are added to a text; llama.cpp's defaults are token 11."""
    ends = companions.ends or (end_token(tokenizer),)
    first = control_token(tokenizer, companions, "bos")
    begins, finishes = added_around(tokenizer)
    start = ends[0] if first is None else first
    if begins not in ([], [start]) or finishes not in ([], [ends[0]]):
        raise NotExportable(f"{UNKNOWN}: it puts the tokens {begins} before a text and {finishes} behind it")
    keys = {
        "bos_token_id": start,
        "eos_token_id": ends[0],
        "add_bos_token": begins != [],
        "add_eos_token": finishes != [],
    }
    more = {"eot_token_id": ends[1]} if len(ends) > 1 else {}
    others = {
        "padding": control_token(tokenizer, companions, "pad"),
        "unknown": control_token(tokenizer, companions, "unk"),
    }
    stated = {f"{name}_token_id": token for name, token in others.items() if token is not None}
    return keys | more | stated


def control_token(tokenizer: Tokenizer, companions: Companions, name: str) -> int | None:
    """Return the id of the control token `name`, bos, pad or unk, as the `companions` state it, or None."""
    stated = companions.generation_config.get(f"{name}_token_id")
    if isinstance(stated, int):
        return stated
    word = companions.tokenizer_config.get(f"{name}_token")
    content = word.get("content") if isinstance(word, dict) else word
    return tokenizer.token_to_id(content) if isinstance(content, str) else None


def added_around(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Return the tokens that `tokenizer` puts before a text, and those behind it."""
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a", add_special_tokens=True).ids
    start = next(index for index in range(len(whole)) if whole[index : index + len(bare)] == bare)
    return whole[:start], whole[start + len(bare) :]
