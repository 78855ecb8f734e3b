"""A tokenizer for the texts of users, which takes whatever they spell for letters.

To split control tokens in a text doesn't suffice: a model that looks for whole words in its vocabulary (Unigram,
WordPiece, WordLevel, a BPE that ignores its merges) finds them there. So it knows them by names that nobody can type.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache

from tokenizers import Tokenizer

from ctxext.data.tokenizer import end_token
from ctxext.refusal import Refusal

NONCE = secrets.token_hex(16)


@lru_cache(maxsize=8)
def lettered(tokenizer: Tokenizer) -> Tokenizer:
    """Return `tokenizer`, or one with the same ids that makes a control token of no text."""
    added = {token.content: token.special for token in tokenizer.get_added_tokens_decoder().values()}
    words = controls(tokenizer)
    # One that is added with the flag, and is in no vocabulary of the model, is only ever split.
    if all(added.get(word) and tokenizer.model.token_to_id(word) is None for word in words):
        return tokenizer
    plain = renamed(tokenizer, {word: f"{NONCE}-{number}" for number, word in enumerate(words)})
    plain.encode_special_tokens = True
    return plain


def controls(tokenizer: Tokenizer) -> list[str]:
    """Return the control tokens of `tokenizer`: those flagged so, and what ends a text, flagged or not."""
    flagged = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
    with suppress(Refusal):  # it has no end, and is refused where one is needed
        flagged.append(str(tokenizer.id_to_token(end_token(tokenizer))))
    return list(dict.fromkeys(flagged))


def renamed(tokenizer: Tokenizer, names: Mapping[str, str]) -> Tokenizer:
    """Return a copy of `tokenizer` that knows its control tokens by other `names` alone."""
    parts = json.loads(tokenizer.to_str())
    for token in parts["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    model = parts["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {names.get(word, word): number for word, number in model["vocab"].items()}
    else:
        model["vocab"] = [[names.get(word, word), score] for word, score in model["vocab"]]
    if model.get("merges"):
        model["merges"] = [merge for merge in model["merges"] if names.keys().isdisjoint(around(merge))]
    if model.get("unk_token"):
        model["unk_token"] = names.get(model["unk_token"], model["unk_token"])
    parts["post_processor"] = None  # it names control tokens, and none is wanted around the text of a user
    return Tokenizer.from_str(json.dumps(parts))


def around(merge: str | Sequence[str]) -> tuple[str, str, str]:
    """Return the two words that a `merge` joins, and what it makes of them."""
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second, first + second
