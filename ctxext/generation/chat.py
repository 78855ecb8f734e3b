"""A user's text as a chat: the tokenizer's own template around it, whose control tokens nobody can type."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ctxext.confinement import asked
from ctxext.data.lettering import renamed
from ctxext.refusal import Refusal, require

OPEN, CLOSE = "\ufdd0", "\ufdd1"
"""No characters of any text: between them stands what is put in place of something else."""
TEXT = OPEN + CLOSE
SECONDS = 5.0
"""How long a template may take; it is a program, and may run for ever."""
ROOM = 100_000
"""The characters that a template may add to the text of the user: instructions and tools have some thousands."""


def chat_tokens(tokenizer: Tokenizer, template: str, settings: Mapping[str, Any], text: str) -> list[int]:
    """Return the tokens of a chat that `text` opens and the model answers, as `template` lays it out.

    `settings` are those of tokenizer_config.json. What the template writes may be control tokens; what stands in `text`
    is plain, also where it is spelt like one.
    """
    require(OPEN not in text and CLOSE not in text, "prompt must not hold U+FDD0 and U+FDD1, which are no characters")
    core = text.strip()
    start = text.index(core)
    laid = rendered(template, settings, text[:start] + TEXT + text[start + len(core) :])  # a template may strip
    require(TEXT in laid, "the chat template leaves out the text of the user; use chat=false")
    length = len(laid) + laid.count(TEXT) * (len(core) - len(TEXT))
    if length > len(text) + ROOM:
        raise unusable(f"it makes {length} characters of {len(text)}, and may add {ROOM} at most")
    words = controls(tokenizer, template + laid)
    hidden = {word: f"{OPEN}{number}{CLOSE}" for number, word in enumerate(words)}
    if words:
        longest_first = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
        laid = re.sub(longest_first, lambda found: hidden[found[0]], laid)
    ids: list[int] = renamed(tokenizer, hidden).encode(laid.replace(TEXT, core), add_special_tokens=False).ids
    return ids


def controls(tokenizer: Tokenizer, written: str) -> list[str]:
    """Return the words of `tokenizer` that act as control tokens: those flagged so, and added ones that are `written`.

    Many tokenizers add <think> or the names of roles without the flag. Runs of spaces are added for text.
    """
    added = tokenizer.get_added_tokens_decoder().values()
    return [token.content for token in added if token.special or (token.content.strip() and token.content in written)]


def rendered(template: str, settings: Mapping[str, Any], text: str) -> str:
    """Return the chat that `text` opens, up to where the model answers; refuse a `template` that can't be used."""
    # Some templates ask whether there are tools or documents by comparing with None.
    given = {
        "messages": [{"role": "user", "content": text}],
        "add_generation_prompt": True,
        "tools": None,
        "documents": None,
    }
    request = {"template": template, "given": given | control_words(settings)}
    answer = asked(Path(__file__).with_name("template.py"), request, SECONDS)
    if "error" in answer:
        raise unusable(answer["error"])
    return str(answer["text"])


def unusable(reason: str) -> Refusal:
    """Return the refusal of a template for `reason`."""
    return Refusal(f"the chat template can't be used ({reason}); use chat=false")


def control_words(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the control tokens that `settings` name, such as bos_token, as templates know them."""
    named = {key: value for key, value in settings.items() if key.endswith("_token") and value}
    words = {key: value["content"] if isinstance(value, dict) else value for key, value in named.items()}
    return {key: word for key, word in words.items() if isinstance(word, str)}
