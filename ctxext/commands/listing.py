"""`ctxext ls`: what can be composed, a line each with its paper, read from the comments that open the option files."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ctxext.commands.columns import aligned
from ctxext.config.folders import CONFIG_DIR, GROUPS, option_files
from ctxext.refusal import nearest, require

NOTE = re.compile(r"# (paper|trained|neutral|exports): (.+)")
MEMBER = re.compile(r"^ +- override /(\w+): (\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Option:
    """An option of a group: what it is, its paper, how it is trained, where it has no effect, where it exports."""

    group: str
    name: str
    line: str
    paper: str
    trained: str
    neutral: str
    export: str


def listed(group: str) -> list[Option]:
    """Return the options of `group`, or of all groups if it is empty."""
    require(group in ("", *GROUPS), f"ls {group}: no such group{nearest(group, GROUPS)} ({', '.join(GROUPS)})")
    return [read_option(path) for name in ([group] if group else GROUPS) for path in option_files(name)]


def read_option(path: Path) -> Option:
    """Return what the comments of the option file `path` say; an overlay takes the rest from its members."""
    text = path.read_text(encoding="utf-8")
    comments = [line for line in text.splitlines() if line.startswith("# ") and not line.startswith("# @")]
    found = {match[1]: match[2] for line in comments if (match := NOTE.fullmatch(line))}
    members = [read_option(CONFIG_DIR / group / f"{name}.yaml") for group, name in MEMBER.findall(text)]
    scratch = any((member.group, member.name) == ("base", "none") for member in members)
    exports = sorted(
        (member.export for member in members if member.export), key=lambda said: not said.startswith("not")
    )
    return Option(
        group=path.parent.name,
        name=path.stem,
        line=comments[0].removeprefix("# ").rstrip("."),
        paper=found.get("paper", "none"),
        trained=found.get("trained", "from scratch" if scratch else first(member.trained for member in members)),
        neutral=found.get("neutral", first(member.neutral for member in members)),
        export=found.get("exports", first(exports)),
    )


def first(words: Iterable[str]) -> str:
    """Return the first of `words` that isn't empty, or an empty one."""
    return next((word for word in words if word), "")


def as_json(group: str) -> str:
    """Return the options of `group` as a JSON list of objects."""
    return json.dumps([asdict(option) for option in listed(group)], indent=1, ensure_ascii=False)


def as_text(group: str) -> str:
    """Return the options of `group` as lines."""
    rows = [(chosen(option), option.line, option.paper) for option in listed(group)]
    return aligned(("option", "what it is", "paper"), rows)


def chosen(option: Option) -> str:
    """Return how `option` is chosen on the command line."""
    return f"{'+' if option.group == 'method' else ''}{option.group}={option.name}"
