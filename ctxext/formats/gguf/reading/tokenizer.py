"""The tokenizer in a GGUF file: a byte-level BPE, and the control tokens that go with it."""

from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, processors

from ctxext.data.tokenizer import as_plain_text
from ctxext.formats.companions import Companions, check_template
from ctxext.formats.gguf.pretokenizers import NAMES, WHOLE, pre_tokenizer
from ctxext.formats.gguf.reading.header import Header
from ctxext.refusal import Refusal, nearest, require

PREFIX = "tokenizer.ggml."
BYTE_LEVEL = "gpt2"
CONTROL, USER_DEFINED = (2, 3), 4
"""Types of tokens: unknown and control ones, which no text spells, and words that are never cut."""
ENDS = ("eos", "eot", "eom")


def read_tokenizer(header: Header, vocab_size: int) -> Tokenizer:
    """Return the tokenizer in `header`, whose ids are below `vocab_size`; it takes control tokens for plain text."""
    name = pre_tokenizer_name(header)
    words, types = vocabulary(header, vocab_size)
    tokenizer = Tokenizer(bpe(header, words, name))
    tokenizer.pre_tokenizer = pre_tokenizer(name)
    tokenizer.decoder = decoders.ByteLevel()
    control = [added(word, True) for word, kind in zip(words, types, strict=True) if kind in CONTROL]
    tokenizer.add_special_tokens(control)
    tokenizer.add_tokens([added(word, False) for word, kind in zip(words, types, strict=True) if kind == USER_DEFINED])
    around(tokenizer, header, words, name)
    return as_plain_text(tokenizer)


def added(word: str, is_control: bool) -> AddedToken:
    """Return `word` as a token that is never cut."""
    return AddedToken(word, normalized=False, special=is_control)


def pre_tokenizer_name(header: Header) -> str:
    """Return the name of the pre-tokenizer in `header`; refuse what is no byte-level BPE, or cuts in an unknown way."""
    model, name = (header.values.get(PREFIX + key) for key in ("model", "pre"))
    require(
        model == BYTE_LEVEL,
        f"{header.file}: {PREFIX}model must be {BYTE_LEVEL}, a byte-level BPE, which alone is read, got {model!r}",
    )
    known = ", ".join(NAMES)
    require(
        isinstance(name, str) and name in NAMES,
        f"{header.file}: {PREFIX}pre must be one of {known}, got {name!r}{nearest(str(name), NAMES)}",
    )
    return str(name)


def vocabulary(header: Header, vocab_size: int) -> tuple[list[str], list[int]]:
    """Return the tokens of `header` and their types; refuse more than `vocab_size`, and one that occurs twice."""
    words = listed(header, "tokens", str)
    require(len(words) > 0, f"{header.file}: {PREFIX}tokens is missing or empty")
    require(
        len(words) <= vocab_size,
        f"{header.file}: {PREFIX}tokens holds {len(words)} tokens, but the embedding has {vocab_size} rows",
    )
    require(len(set(words)) == len(words), f"{header.file}: {PREFIX}tokens holds a token twice")
    types = listed(header, "token_type", int) or [1] * len(words)
    require(
        len(types) == len(words),
        f"{header.file}: {PREFIX}token_type holds {len(types)} types for {len(words)} tokens",
    )
    return words, types


def listed(header: Header, key: str, kind: type) -> list[Any]:
    """Return the list of `kind` at `key` of the tokenizer in `header`, empty where it is absent."""
    found = header.values.get(PREFIX + key, [])
    fits = isinstance(found, list) and all(type(item) is kind for item in found)
    require(fits, f"{header.file}: {PREFIX}{key} must be a list, each {'a text' if kind is str else 'a whole number'}")
    return list(found)


def bpe(header: Header, words: list[str], name: str) -> models.BPE:
    """Return the merges of `header` over its `words`, as its pre-tokenizer's `name` lets them be applied."""
    pairs = []
    for merge in listed(header, "merges", str):
        left, _, right = merge.partition(" ")
        pairs.append((left, right))
    try:
        ids = {word: token for token, word in enumerate(words)}
        return models.BPE(vocab=ids, merges=pairs, ignore_merges=name in WHOLE)
    except Exception as error:  # the library raises bare Exception
        raise Refusal(f"{header.file}: {PREFIX}merges don't fit the tokens ({error})") from error


def around(tokenizer: Tokenizer, header: Header, words: list[str], name: str) -> None:
    """Let `tokenizer` put around a text what `header` asks for, where its caller wants special tokens."""
    before = ["bos"] if header.values.get(f"{PREFIX}add_bos_token", name in WHOLE) else []
    behind = ["eos"] if header.values.get(f"{PREFIX}add_eos_token", False) else []
    ids = {key: control_id(header, key, len(words)) for key in (*before, *behind)}
    for key, token in ids.items():
        require(token is not None, f"{header.file}: {PREFIX}add_{key}_token needs {PREFIX}{key}_token_id")
    if ids:
        spelt = {key: words[token] for key, token in ids.items() if token is not None}
        template = [spelt[key] for key in before] + ["$A"] + [spelt[key] for key in behind]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[(spelt[key], token) for key, token in ids.items()]
        )


def control_id(header: Header, key: str, count: int) -> int | None:
    """Return the id of the control token `key`, bos or eos or the like, among `count` tokens, or None."""
    name = {"pad": "padding", "unk": "unknown"}.get(key, key)
    token = header.values.get(f"{PREFIX}{name}_token_id")
    fits = token is None or (type(token) is int and 0 <= token < count)
    require(fits, f"{header.file}: {PREFIX}{name}_token_id must be one of the {count} tokens, got {token!r}")
    return token


def read_gguf_companions(header: Header) -> Companions:
    """Return what goes with the tokenizer in `header`: its control tokens, and the chat template as it is."""
    words = listed(header, "tokens", str)
    ids = {key: control_id(header, key, len(words)) for key in ("bos", "pad", "unk", *ENDS)}
    if ids["eos"] is None:
        raise Refusal(f"{header.file}: {PREFIX}eos_token_id is missing, so that no text would end")
    ids["pad"] = ids["eos"] if ids["pad"] is None else ids["pad"]
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # transformers 4 refuses 5's own name
        "clean_up_tokenization_spaces": False,
    }
    known = {key: token for key, token in ids.items() if token is not None}
    settings |= {f"{key}_token": words[known[key]] for key in ("bos", "eos", "pad", "unk") if key in known}
    ends = list(dict.fromkeys(known[key] for key in ENDS if key in known))
    generation: dict[str, Any] = {"eos_token_id": ends if len(ends) > 1 else ends[0], "do_sample": False}
    generation |= {f"{key}_token_id": known[key] for key in ("bos", "pad") if key in known}
    template = header.values.get("tokenizer.chat_template", "")
    require(isinstance(template, str), f"{header.file}: tokenizer.chat_template must be a text")
    check_template(template, f"{header.file}: tokenizer.chat_template")
    return Companions(settings, generation, template)
