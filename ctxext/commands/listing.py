"""`ctxext ls`: what can be composed, a line each with its paper, read from the comments that open the option files."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ctxext.commands.columns import told_below
from ctxext.config.folders import GROUPS, option_file, option_files
from ctxext.refusal import nearest, require
from ctxext.strangers import text_of

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
    text = text_of(path)
    comments = [line for line in text.splitlines() if line.startswith("# ") and not line.startswith("# @")]
    found = {match[1]: match[2] for line in comments if (match := NOTE.fullmatch(line))}
    members = [read_option(option_file(group, name)) for group, name in MEMBER.findall(text)]
    scratch = any((member.group, member.name) == ("base", "none") for member in members)
    exports = sorted(
        (member.export for member in members if member.export), key=lambda said: not said.startswith("not")
    )
    return Option(
        group=path.parent.name,
        name=path.stem,
        line=first(comments).removeprefix("# ").rstrip("."),
        paper=found.get("paper", "none"),
        trained=found.get("trained", "from scratch" if scratch else most_trained(members)),
        neutral=found.get("neutral", first(member.neutral for member in members)),
        export=found.get("exports", first(exports)),
    )


def most_trained(members: Sequence[Option]) -> str:
    """Return how the weights are trained for all `members` together: as for the one that asks most."""
    ranks = ("from scratch", "fine-tuned", "training-free")
    return first(rank for rank in ranks if rank in [member.trained for member in members])


def first(words: Iterable[str]) -> str:
    """Return the first of `words` that isn't empty, or an empty one."""
    return next((word for word in words if word), "")


def as_json(group: str) -> str:
    """Return the options of `group` as a JSON list of objects."""
    return json.dumps([asdict(option) for option in listed(group)], indent=1, ensure_ascii=False)


def as_text(group: str) -> str:
    """Return the options of `group` as a table, below each row what the option is and its paper."""
    found = listed(group)
    facts = [(chosen(option), option.trained, exports(option), option.neutral) for option in found]
    told = [f"{option.line}{cited(option)}" for option in found]
    return told_below(("option", "trained", "exports to", "neutral at"), facts, told)


def exports(option: Option) -> str:
    """Return where `option` exports to; on what condition, or why nowhere, is in the JSON."""
    return "nowhere" if option.export.startswith("not exportable") else re.split(r", | \(", option.export)[0]


def cited(option: Option) -> str:
    """Return the paper of `option` as the end of its line, if there is one."""
    unpublished = re.fullmatch(r"none(?: \((.+)\))?", option.paper)
    if unpublished is None:
        return f" ({option.paper})"
    return f" ({unpublished[1]}, no paper)" if unpublished[1] else ""


def chosen(option: Option) -> str:
    """Return how `option` is chosen on the command line."""
    return f"{'+' if option.group == 'method' else ''}{option.group}={option.name}"
