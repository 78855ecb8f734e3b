"""The pages: what they repeat of the option files, and the commands that they show."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore

from ctxext.commands import jobs
from ctxext.commands.jobs import Errand
from ctxext.commands.listing import listed
from ctxext.commands.stages import STAGES
from ctxext.commands.words import for_hydra, with_method
from ctxext.config import lengths
from ctxext.config.folders import CONFIG_DIR
from ctxext.config.schema import Run
from ctxext.formats.gguf.writing.reasons import REASONS

PAGE = Path(__file__).parents[1] / "docs" / "methods.md"


@pytest.mark.parametrize("group", ["method", "position", "mask", "attention"])
def test_the_page_of_methods_has_a_row_for_each_option_as_its_file_says(group: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for option in listed(group):
        said = (option.line, option.paper, option.trained, option.neutral, option.export)
        row = " | ".join([f"| `{option.name}`", *(text.replace("|", "\\|") for text in said)])
        refused = re.escape(REASONS.get(option.name, "yes"))
        measured = r" \| (\d\.\d{3}, \d\.\d\d)? " if group == "method" else rf" \| {refused} "
        line = re.search(f"^{re.escape(row)}{measured}\\|$", page, re.MULTILINE)
        assert line, f"run python scripts/methods.py: {row}"


PAGES = [PAGE.parents[1] / "README.md", *sorted(PAGE.parent.glob("*.md"))]
SKIPPED = re.compile(r"run=|\bDIR\b|\bFILE\b|\bNAME\b|base=smollm2|^ctxext (ls|compare) ")
"""What only the user has: runs and weights; and the commands that compose nothing."""


def documented() -> Iterator[str]:
    """Yield each command line of the program in a block of code of the pages, as it is typed, without remarks."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for block in re.findall(r"^(?: {4}|(?:\w+=\S+ )*)(ctxext .*)$", text, re.MULTILINE):
            yield re.sub(r"\s+", " ", re.sub(r"\s#\s.*| [<|>] .*", "", block)).strip()


@pytest.mark.parametrize("line", sorted({line for line in documented() if not SKIPPED.search(f"{line} ")}))
def test_a_documented_command_is_built_and_not_refused(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, command, *words = shlex.split(line)
    lengths.register()
    ConfigStore.instance().store("schema", Run)
    monkeypatch.setattr(jobs, "current", [Errand(command, "", show_traceback=False, announce=lambda text: None)])
    overrides = [word for word in for_hydra(with_method(words, STAGES[command].method)) if word != "-m"]
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        every = list(jobs.combinations(overrides, {}))
        for job in every if len(every) < 7 else (every[0], every[-1]):  # each option alone is built elsewhere
            jobs.check(compose("config", job), job)


def test_the_documented_commands_are_found() -> None:
    commands = [line.split()[1] for line in documented()]
    assert len(commands) > 30
    assert {"train", "eval", "export", "generate", "check", "search", "compare", "ls"} <= set(commands)
