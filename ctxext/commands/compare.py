"""`ctxext compare`: runs side by side, read from their folders; no network is built and nothing is measured."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ctxext.commands.sweep import ended_in, is_sweep, table
from ctxext.evaluation.comparison import gates
from ctxext.evaluation.comparison.assembly import compared
from ctxext.evaluation.comparison.reading import read
from ctxext.refusal import Refusal, nearest, require

HEADLINES = ("perplexity", "bits_per_byte")
"""Measures that the end of a sweep leaves to the whole comparison, since nll says the same."""
CONSOLE = "-"
FLAGS = ("--json", "--markdown", "--html", "--fail-on")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are refusals."""

    def error(self, message: str) -> NoReturn:
        """Refuse what was typed, with the flag that may have been meant."""
        unknown = next((re.split("[=:]", word)[0] for word in message.split() if word.startswith("--")), "")
        raise Refusal(message + (nearest(unknown, FLAGS) if unknown not in FLAGS else ""))


class Wish(NamedTuple):
    """What was typed: the folders in `paths`, the form, and the `gates`."""

    paths: list[Path]
    as_json: bool
    markdown: str
    html: str
    gates: list[gates.Gate]

    @property
    def is_shown(self) -> bool:
        """Whether no form is named, so that tables go to the console."""
        return not (self.as_json or self.markdown or self.html)


def wished(words: Sequence[str]) -> Wish:
    """Return what `words` ask for; refuse what can't be read, and paths that hold nothing to compare."""
    parser = Parser(prog="ctxext compare", add_help=False)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", nargs="?", const=CONSOLE, default="")
    parser.add_argument("--html", default="")
    parser.add_argument("--fail-on", action="append", default=[], metavar="RULE")
    typed = parser.parse_intermixed_args(list(words))
    require(
        bool(typed.paths),
        "compare takes the folders of runs, or that of a sweep, such as ctxext compare outputs/sweeps/*",
    )
    require(
        not (typed.json and typed.markdown == CONSOLE),
        "--json and --markdown both go to stdout; give --markdown a FILE",
    )
    return Wish(typed.paths, typed.json, typed.markdown, typed.html, [gates.parsed(rule) for rule in typed.fail_on])


def compare(words: Sequence[str], say: Callable[[str], Any], remark: Callable[[str], Any]) -> int:
    """Compare the runs that `words` name, and return the exit status: 1 if a gate is broken.

    What was asked for goes to `say`, what else there is to know to `remark`.
    """
    wish = wished(words)
    paths = existing(wish.paths)
    if wish.is_shown:
        tell_jobs(paths, say)
    comparison = compared(*read(paths))
    broken = gates.broken(comparison, wish.gates)
    if wish.gates:
        comparison["gates"] = {"rules": [gate.text for gate in wish.gates], "broken": broken}
    show(comparison, wish, say, remark)
    for sentence in broken:
        remark(f"ctxext: --fail-on {sentence}")
    for gate in wish.gates:
        if not any(sentence.startswith(f"{gate.text}: ") for sentence in broken):
            remark(f"ctxext: --fail-on {gate.text}: passed")
    return 1 if broken else 0


def existing(paths: Sequence[Path]) -> list[Path]:
    """Return `paths`; refuse one that isn't there with the nearest that is."""
    for path in paths:
        if not path.exists():
            from ctxext.config.saved import elsewhere  # Hydra comes with it

            raise Refusal(f"compare: {path}: no such folder{elsewhere(path)}")
    return list(paths)


def tell_jobs(paths: Sequence[Path], say: Callable[[str], Any]) -> None:
    """Tell `say` of each sweep among `paths` how its jobs ended, those without results too."""
    sweeps = [path for path in paths if is_sweep(path)]
    for path in sweeps:
        outcomes = sorted(ended_in(path), key=lambda outcome: outcome.number)
        heading = f"{path}\n" if len(sweeps) > 1 else ""
        if outcomes:
            say(f"{heading}{table(outcomes)}\n")


def show(comparison: dict[str, Any], wish: Wish, say: Callable[[str], Any], remark: Callable[[str], Any]) -> None:
    """Write `comparison` in each form that `wish` names; as a table on the console if it names none for stdout."""
    from ctxext.reporting import comparison as forms

    if wish.html:
        from ctxext.reporting.page import as_html

        write(Path(wish.html), as_html(comparison), "--html", remark)
    if wish.markdown not in ("", CONSOLE):
        write(Path(wish.markdown), forms.as_markdown(comparison), "--markdown", remark)
    if wish.as_json:
        say(json.dumps(comparison, indent=1, ensure_ascii=False))
    elif wish.markdown == CONSOLE:
        say(forms.as_markdown(comparison).rstrip())
    elif wish.is_shown:
        draw(comparison)


def draw(comparison: dict[str, Any]) -> None:
    """Show `comparison` on the console."""
    from ctxext.reporting import table
    from ctxext.reporting.comparison import as_text

    table.show(as_text(comparison))


def write(file: Path, text: str, flag: str, remark: Callable[[str], Any]) -> None:
    """Write `text` into `file`; refuse a place where no file can be made."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refusal(f"{flag} {file}: can't be written ({error.strerror})") from error
    remark(str(file))


def headline(folders: Sequence[Path]) -> str:
    """Show the runs in `folders` that measured anything side by side, and return how more of it is shown.

    Nothing is shown, and nothing returned, of fewer than two.
    """
    measured = [folder for folder in folders if (folder / "results.json").is_file()]
    if len(measured) < 2:
        return ""
    comparison = compared(*read(measured))
    tables = [table for table in comparison["tables"] if table["measure"] not in HEADLINES]
    briefly: dict[str, Any] = {"effective_length": [], "cost": [], "export": [], "missing": []}
    draw(comparison | briefly | {"tables": tables})
    parents = dict.fromkeys(folder.parent for folder in measured)
    return shlex.join(["ctxext", "compare", *map(short, parents if len(parents) == 1 else measured)])


def short(path: Path) -> str:
    """Return `path` as it is typed here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
