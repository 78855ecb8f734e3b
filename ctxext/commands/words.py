"""The words of a command line, made fit for Hydra: flags last, free texts quoted, the command's own word taken out."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ctxext.config.literal import escaped
from ctxext.refusal import Refusal, require

TEXT = re.compile(r"(\+{0,2}(?:dataset\.)?prompt)=(.+)", re.DOTALL)
FREE = re.compile(r"(\+{0,2}(?:dataset\.path|base\.path|run|hydra\.run\.dir))=(.*)", re.DOTALL)
OF_HYDRA = re.compile(r"\+{0,2}(hydra\.(?:verbose|sweeper|launcher|job_logging|hydra_logging))=(.*)", re.DOTALL)
NO_NAMES = ("null", "nan", "inf")
TAKES_A_WORD = {
    "--experimental-rerun",
    "--package",
    "-p",
    "--config-path",
    "-cp",
    "--config-name",
    "-cn",
    "--config-dir",
    "-cd",
    "--cfg",
    "-c",
    "--info",
    "-i",
}


def parsed(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments that `parser` reads from `words`; what it can't read is refused in a sentence."""

    def refuse(message: str) -> NoReturn:
        raise Refusal(message)

    parser.error = refuse  # type: ignore[method-assign]
    return parser.parse_args(words)


def for_hydra(words: Sequence[str]) -> list[str]:
    """Return `words` as Hydra reads them; refuse flags that it doesn't have, and the one that runs what a file says."""
    from hydra._internal.utils import get_args_parser

    words = ordered(words)
    arguments = parsed(get_args_parser(), words)
    rerun = arguments.experimental_rerun
    require(
        rerun is None,
        f"--experimental-rerun={rerun} would load a pickle, which runs code; give the overrides themselves",
    )
    for word in words:
        check_hydra(word)
    return [quoted(word, arguments.multirun) for word in words]


def check_hydra(word: str) -> None:
    """Refuse a `word` by which a key of Hydra's own is of a kind of which Hydra itself dies without a sentence."""
    match = OF_HYDRA.fullmatch(word)
    if match is None or "${" in match[2]:
        return
    key, value = match[1], match[2]
    if key == "hydra.verbose":
        named = re.fullmatch(r"[A-Za-z_][\w.]*|\[.*\]|'.+'", value, re.DOTALL) and value.lower() not in NO_NAMES
        require(bool(named), f"{key} must be true, false or the names of loggers, got {value!r}")
    else:
        rule = f"{key} must be a group of keys, got {value!r}; {key.replace('.', '/')}=NAME chooses one"
        require(value.startswith("{"), rule)


def with_method(words: Sequence[str], method: str) -> list[str]:
    """Return `words` with the overlay `method`, if there is one, unless they choose a method or a position."""
    chosen = any(re.match(r"\+{0,2}(method|position)=", word) for word in words)
    return list(words) if chosen or not method else [f"+method={method}", *words]


def as_sweep(words: Sequence[str]) -> list[str]:
    """Return `words`, a sweep if they name several runs with commas between them, and no folder with commas in it."""
    named = [match[1] for word in words if (match := re.fullmatch(r"\+{0,2}run=([^'\"\[$].*,.*)", word))]
    several = any(not Path(name).exists() for name in named)
    return [*words, "-m"] if several and not {"-m", "--multirun"}.intersection(words) else list(words)


def own_folder(words: Sequence[str]) -> Path | None:
    """Return the folder that `words`, fit for Hydra, give as --config-dir: the user's own options."""
    from hydra._internal.utils import get_args_parser

    typed = parsed(get_args_parser(), words).config_dir
    return Path(typed) if typed else None


def folder_in(words: Sequence[str]) -> Path:
    """Return the run's folder as the command line `words` name it, or the one that holds those that nobody named."""
    named = [word.partition("=")[2].strip("'") for word in words if word.startswith("hydra.run.dir=")]
    return Path(named[-1] if named else "outputs")


def ordered(words: Sequence[str]) -> list[str]:
    """Return `words` with the overrides before the flags, since Hydra takes none after a flag with a value."""
    overrides: list[str] = []
    flags: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        (flags if word.startswith("-") or before in TAKES_A_WORD else overrides).append(word)
    return overrides + flags


def quoted(word: str, is_sweep: bool) -> str:
    """Return the override `word` with a path or a prompt in quotes, which Hydra might read as a list or a number.

    A path is left as it is if it is a list, a value in quotes or an interpolation; a prompt is never any of these. In a
    sweep, commas separate the values of both.
    """
    prompt, path = TEXT.fullmatch(word), FREE.fullmatch(word)
    match = prompt or path
    if match is None or not match[2] or (is_sweep and "," in match[2]):
        return word
    if prompt:
        return f"{prompt[1]}={in_quotes(escaped(prompt[2]))}"
    return word if match[2][0] in "'\"[" or "${" in match[2] else f"{match[1]}={in_quotes(match[2])}"


def in_quotes(text: str) -> str:
    """Return `text` in quotes, as Hydra reads them: backslashes count only where a quote follows them."""
    return "'" + re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + found[2].replace("'", "\\'"), text) + "'"


def completed(line: str, commands: Sequence[str]) -> list[str] | str:
    """Return which of the `commands` go on from the typed `line`, or the line without its command for Hydra."""
    typed = line.split()
    if len(typed) < 2 or (len(typed) == 2 and not line.endswith(" ")):
        start = typed[1] if len(typed) == 2 else ""
        return [command for command in commands if command.startswith(start)]
    return re.sub(r"^(\s*\S+)\s+\S+", r"\1", line, count=1)
