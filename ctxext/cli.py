"""What was typed becomes one command: the first word names it, the rest is Hydra's, or plain."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ctxext import __version__, terminal
from ctxext.commands.launching import check_together, deaf, muted, own_place, speaking_as
from ctxext.commands.stages import PLAIN, STAGES, Plain, Stage
from ctxext.commands.words import folder_in
from ctxext.parallel.launch import follows, launched
from ctxext.refusal import Refusal, nearest, require
from ctxext.terminal import SHUT, hush, say
from ctxext.training.lock import refuse_held
from ctxext.training.signals import listening

if TYPE_CHECKING:
    from ctxext.commands.jobs import Errand


SUMMARY = "Extend the context of a language model, and measure what that did."
OVERRIDES = "[KEY=VALUE ...] [GROUP=OPTION ...] [+method=NAME] [-m to sweep] [--cfg job] [--config-dir DIR]"
FURTHER = "`ctxext ls` lists the groups and their options, `--cfg job` shows every key, `--hydra-help` Hydra's flags."
HELP = {"--help", "-h"}
LONGEST = 2000
FAILED = 1
COMPLETION = {"--shell-completion", "-sc"}


def main() -> int:
    """Run the command named by the first word of the command line, and return the exit status.

    Of several processes that torchrun started, the first speaks for all.
    """
    with muted():
        return ended(*(sys.argv[1:] or ["--help"]))


def ended(*words: str) -> int:
    """Run the command line `words`, say in a sentence what it is refused for, and return the exit status."""
    try:
        return deaf(dispatch(*words))
    except Refusal as refusal:
        return complain(str(refusal), 2)
    except KeyboardInterrupt:
        return complain("interrupted", 1)
    except BrokenPipeError:  # as in `ctxext ls | head`
        hush()
        return 1
    except Exception as error:
        return unforeseen(error)


def unforeseen(error: Exception) -> int:
    """Say an `error` for which no command has words of its own in a sentence, and return the exit status."""
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exc()
    if isinstance(error, OSError) and error.filename is None and error.errno in SHUT:
        hush()
        return complain(f"stdout: can't be written ({error.strerror})", 1)
    if isinstance(error, OSError) and error.filename is not None:
        return complain(f"{error.filename}: can't be read ({error.strerror})", 2)
    said = " ".join(str(error).split())
    return complain(f"{type(error).__name__}: {said}; HYDRA_FULL_ERROR=1 shows where it comes from", 2)


def dispatch(command: str, *words: str) -> int:
    """Carry out `command` with its `words`; refuse one that doesn't exist."""
    if COMPLETION.intersection((command, *words)):
        return complete([word for word in (command, *words) if "=" in word])
    if command in ("--help", "-h"):
        return say(program_help())
    if command == "--version":
        return say(__version__)
    known = [*STAGES, *PLAIN]
    require("=" not in command, f"{command!r} stands where a command belongs; write ctxext train {command}")
    require(command in known, f"no command {command!r}{nearest(command, known)} ({', '.join(known)})")
    if HELP.intersection(words):
        return say(command_help(command))
    plain = {"compare": compare_runs, "ls": list_options}
    return plain[command](words) if command in PLAIN else through_hydra(command, words)


def remark(text: str) -> None:
    """Print `text` beside the results, if this is the first process of its run."""
    if not follows():
        terminal.remark(text)


def complain(sentence: str, status: int) -> int:
    """Print `sentence` as an error, and return the exit `status`; what is refused is told by the first process."""
    if follows() and status == FAILED:
        terminal.remark(f"ctxext, process {launched()[0]}: {shown(sentence)}")
    remark(f"ctxext: {shown(sentence)}")
    return status


def shown(sentence: str) -> str:
    """Return `sentence`, its middle left out if a name in it has no end."""
    return sentence if len(sentence) <= LONGEST else f"{sentence[: LONGEST // 2]} ... {sentence[-LONGEST // 2 :]}"


def program_help() -> str:
    """Return what the program can do."""
    commands: dict[str, Stage | Plain] = {**STAGES, **PLAIN}
    lines = [f"  ctxext {name:<9}{known.line}" for name, known in commands.items()]
    examples = [STAGES["train"].examples[0], STAGES["train"].examples[2], STAGES["eval"].examples[1]]
    return "\n".join([f"{SUMMARY}\n", *lines, "\nExamples:", *(f"  {example}" for example in examples)])


def command_help(command: str) -> str:
    """Return what `command` does, and how it is typed."""
    known: Stage | Plain = PLAIN[command] if command in PLAIN else STAGES[command]
    usage, closing = (known.usage, "") if isinstance(known, Plain) else (OVERRIDES, f"\n\n{FURTHER}")
    line, examples = "\n  ".join([known.line, *known.notes]), known.examples
    return (
        f"ctxext {command} {usage}\n  {line}\n\nExamples:\n"
        + "\n".join(f"  {example}" for example in examples)
        + closing
    )


def list_options(words: Sequence[str]) -> int:
    """List the options that `words` ask for."""
    from ctxext.commands import listing
    from ctxext.commands.words import parsed
    from ctxext.config.folders import including

    parser = argparse.ArgumentParser(prog="ctxext ls", add_help=False)
    parser.add_argument("group", nargs="?", default="")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--config-dir", type=Path, default=None)
    asked = parsed(parser, words)
    with including(asked.config_dir):
        return say(listing.as_json(asked.group) if asked.json else listing.as_text(asked.group))


def compare_runs(words: Sequence[str]) -> int:
    """Show the runs that `words` name side by side."""
    from ctxext.commands.compare import compare

    return compare(words, say, remark)


def complete(words: list[str]) -> int:
    """Answer a shell that asks how the line typed so far may go on, or install that; `words` are Hydra's own."""
    from ctxext.commands.words import completed

    if any(word.startswith("query=") for word in words):
        rest = completed(os.environ.get("COMP_LINE", ""), [*STAGES, *PLAIN])
        if not isinstance(rest, str):
            return say("\n".join(rest))
        os.environ["COMP_LINE"] = rest
    return through_hydra("train", [*words, "--shell-completion"])


def through_hydra(command: str, words: Sequence[str]) -> int:
    """Carry out `command`, which goes by Hydra, for `words`, and return the exit status.

    One that can go on is told of signals, and refused a folder that another run holds, before a slow import.
    """
    check_together(command, words)
    if not STAGES[command].goes_on:
        return composed(command, words)
    with listening(remark), own_place(words) as placed:
        if not follows():
            refuse_held(folder_in(words))
        return composed(command, placed)


def composed(command: str, words: Sequence[str]) -> int:
    """Let Hydra compose `words`, carry out `command`, say each error in a sentence, and return the exit status."""
    from ctxext.commands import jobs
    from ctxext.commands.words import as_sweep, for_hydra, own_folder, with_method
    from ctxext.config.folders import including

    words = for_hydra(as_sweep(with_method(words, STAGES[command].method)))
    show_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    errand = jobs.Errand(command, STAGES[command].function, show_traceback, remark)
    with including(own_folder(words)), speaking_as(["ctxext", *words]):
        return carried_out(errand, words)


def carried_out(errand: "Errand", words: Sequence[str]) -> int:
    """Carry out `errand` for the `words` that Hydra reads, and return the exit status."""
    from ctxext.commands import jobs
    from ctxext.commands.disk import full_disk
    from ctxext.commands.sweep import cut_off
    from ctxext.config.mistakes import sentence

    status = 0
    try:
        jobs.run(errand)
    except KeyboardInterrupt:
        status = complain("interrupted", 1)
    except SystemExit as stop:  # an interruption whose state is saved, or Hydra's own end
        status = stop.code if isinstance(stop.code, int) else 0
    except BrokenPipeError:
        raise
    except Exception as error:
        if errand.show_traceback:
            traceback.print_exc()
        full, said = full_disk(error, folder_in(words)), sentence(error, words)
        if not errand.is_begun:
            return complain(full, 1) if full else complain(said, 2)
        status = complain(full or cut_off(errand.sweep, len(errand.results()), errand.planned, said), 1)
    ended = report(errand)
    return status or ended


def report(errand: "Errand") -> int:
    """Say how the jobs of `errand` ended, and return the exit status."""
    from ctxext.commands.sweep import MEASURING, exit_status, table

    outcomes = errand.results()
    if errand.is_sweep and errand.command == "generate":  # stdout has the texts alone
        remark(table(outcomes))
    elif errand.is_sweep:
        say(table(outcomes))
        if errand.command in MEASURING:
            compare_jobs([outcome.folder for outcome in outcomes])
        if errand.closing:
            say(errand.closing)
    elif outcomes and outcomes[0].sentence:
        complain(outcomes[0].sentence, 1)
    return exit_status(outcomes, errand.is_sweep)


def compare_jobs(folders: Sequence[Path]) -> None:
    """Show the runs in `folders` side by side, and how to see more of it."""
    from ctxext.commands.compare import headline

    try:
        further = headline(folders)
    except Refusal as refusal:  # each run is done, and its own numbers are there
        remark(f"ctxext: the runs are not compared: {refusal}")
    else:
        if further:
            say(f"\nmore of it: {further}")
