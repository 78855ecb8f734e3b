"""A chat template laid out by jinja, in a process of its own: a template is a program, and it comes with a model.

`ctxext.confinement` runs it as a file. It imports nothing of the package, which would cost the time that the template
may take.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    """Reads `{% generation %}`, with which templates mark what a model wrote, as if it weren't there."""

    tags = {"generation"}  # noqa: RUF012 - jinja's own way

    def parse(self, parser: Any) -> Any:
        """Return what stands between the marks."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def laid_out(template: str, given: Mapping[str, Any]) -> str:
    """Return what `template` makes of what it is `given`; jinja runs it in its sandbox."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation]
    )
    environment.filters["tojson"] = to_json
    environment.globals |= {"raise_exception": refuse, "strftime_now": strftime_now}
    return str(environment.from_string(template).render(given))


def to_json(value: object, ensure_ascii: bool = False, indent: int | None = None) -> str:
    """Return `value` as JSON, without the escapes for HTML of jinja's own filter."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def refuse(message: str) -> NoReturn:
    """Refuse what a template finds wrong."""
    raise TemplateError(message)


def strftime_now(form: str) -> str:
    """Return the time in the `form` that a template asks for."""
    return datetime.now().strftime(form)


def answer(request: Mapping[str, Any]) -> dict[str, str]:
    """Return the text that the template of `request` lays out, or what is wrong with it."""
    try:
        return {"text": laid_out(request["template"], request["given"])}
    except Exception as error:  # what a template does wrong raises whatever Python raises for it
        return {"error": str(error) or type(error).__name__}
