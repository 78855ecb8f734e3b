"""A user's text as a chat: the tokenizer's own template around it, whose control tokens nobody can type."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from ctxext.refusal import Refusal, require

OPEN, CLOSE = "\ufdd0", "\ufdd1"
"""No characters of any text: between them stands what is put in place of something else."""
TEXT = f"{OPEN}text{CLOSE}"


class Generation(Extension):
    """Reads `{% generation %}`, with which templates mark what a model wrote, as if it weren't there."""

    tags = {"generation"}  # noqa: RUF012 - jinja's own way

    def parse(self, parser: Any) -> Any:
        """Return what stands between the marks."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


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
    words = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
    hidden = {word: f"{OPEN}{number}{CLOSE}" for number, word in enumerate(words)}
    if words:
        longest_first = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
        laid = re.sub(longest_first, lambda found: hidden[found[0]], laid)
    ids: list[int] = renamed(tokenizer, hidden).encode(laid.replace(TEXT, core), add_special_tokens=False).ids
    return ids


def rendered(template: str, settings: Mapping[str, Any], text: str) -> str:
    """Return the chat that `text` opens, up to where the model answers; jinja runs the `template` in its sandbox."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation]
    )
    environment.filters["tojson"] = to_json
    environment.globals |= {"raise_exception": refuse, "strftime_now": strftime_now}
    messages = [{"role": "user", "content": text}]
    # Some templates ask whether there are tools or documents by comparing with None.
    given = {"messages": messages, "add_generation_prompt": True, "tools": None, "documents": None}
    try:
        return environment.from_string(template).render(given | control_words(settings))
    except Exception as error:  # what a template does wrong raises whatever Python raises for it
        raise Refusal(f"the chat template can't be used ({error}); use chat=false") from error


def control_words(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the control tokens that `settings` name, such as bos_token, as templates know them."""
    named = {key: value for key, value in settings.items() if key.endswith("_token") and value}
    words = {key: value["content"] if isinstance(value, dict) else value for key, value in named.items()}
    return {key: word for key, word in words.items() if isinstance(word, str)}


def to_json(value: object, ensure_ascii: bool = False, indent: int | None = None) -> str:
    """Return `value` as JSON, without the escapes for HTML of jinja's own filter."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def refuse(message: str) -> NoReturn:
    """Refuse what a template finds wrong."""
    raise TemplateError(message)


def strftime_now(form: str) -> str:
    """Return the time in the `form` that a template asks for."""
    return datetime.now().strftime(form)


def renamed(tokenizer: Tokenizer, names: Mapping[str, str]) -> Tokenizer:
    """Return a copy of `tokenizer` that knows its control tokens by other `names` alone."""
    parts = json.loads(tokenizer.to_str())
    for token in parts["added_tokens"]:
        if token["special"]:
            token["content"] = names[token["content"]]
    model = parts["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {names.get(word, word): number for word, number in model["vocab"].items()}
    else:
        model["vocab"] = [[names.get(word, word), score] for word, score in model["vocab"]]
    if model.get("unk_token"):
        model["unk_token"] = names.get(model["unk_token"], model["unk_token"])
    parts["post_processor"] = None  # it names control tokens, and a template writes its own
    return Tokenizer.from_str(json.dumps(parts))
