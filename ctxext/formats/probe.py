"""A tokenizer.json put to the test, in a process of its own: a stranger's may take memory or time without end.

`ctxext.confinement` runs it as a file, so that it imports nothing of the package.
"""

import base64
import json
import math
import string
from collections.abc import Iterator, Mapping
from typing import Any

from tokenizers import Tokenizer

MOST_GROWTH = 256.0
"""The bytes that a tokenizer may make of one, before it cuts them into tokens or after it joined them."""
MOST_TOKENS = 1024
"""The tokens that it may put around a text."""
BYTE_LEVEL = 4.0
"""ByteLevel spells a byte as a character of two, and adds a space."""
TEXTS = (
    "",
    "The code of Ada is 48151.\n\n\tdef f(x): return x**2  # naïve\r\n漢字 🙂 \u0301\u200d",
    *(letter * 40 for letter in string.printable),
    *((letter + "b") * 20 for letter in "a0 _-."),
    *(letter * 2000 for letter in "a 0\n="),
)
"""What sets off an expression that tries every way to cut a run: a run of each character, and pairs."""


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the tokenizer.json at `path` of `request` did: its largest `growth`, or the `error`."""
    tokenizer = Tokenizer.from_file(request["path"])
    tokenizer.no_truncation()
    tokenizer.no_padding()
    factor = max(map(growth, (stated(tokenizer.normalizer, tokenizer.pre_tokenizer), stated(tokenizer.decoder))))
    if factor > MOST_GROWTH:
        return {"error": f"it would make up to {factor:.3g} bytes of one, and {MOST_GROWTH:g} is the most"}
    for text in TEXTS:
        encoded = tokenizer.encode(text)
        if len(encoded.ids) > MOST_TOKENS + MOST_GROWTH * len(text.encode()):
            return {"error": f"it makes {len(encoded.ids)} tokens of {len(text)} characters"}
        tokenizer.decode(encoded.ids)
    return {"growth": factor}


def stated(*parts: Any) -> list[Any]:
    """Return the settings of the `parts` of a tokenizer that are there."""
    return [json.loads(part.__getstate__()) for part in parts if part is not None]


def growth(settings: object) -> float:
    """Return by what factor the steps in `settings`, one after the other, may lengthen a text at most."""
    return math.prod(map(step_growth, steps(settings)))


def steps(node: object) -> Iterator[dict[str, Any]]:
    """Yield each step in the settings `node`, those inside others too."""
    if isinstance(node, list):
        for inner in node:
            yield from steps(inner)
    elif isinstance(node, dict):
        yield node
        yield from steps([inner for inner in node.values() if isinstance(inner, list | dict)])


def step_growth(step: Mapping[str, Any]) -> float:
    """Return by what factor the one `step` may lengthen a text at most."""
    kind = step.get("type")
    if kind == "Replace":
        pattern, content = step["pattern"], len(step["content"].encode())
        text = pattern.get("String", "")
        return max(1.0, content / len(text.encode())) if text else content + 1.0  # what matches nothing is everywhere
    if kind == "Precompiled":  # of SentencePiece: a trie, then what it writes, each ended by a NUL
        return max(1.0, *map(len, base64.b64decode(step["precompiled_charsmap"] or "").split(b"\0")))
    return BYTE_LEVEL if kind == "ByteLevel" else 1.0
