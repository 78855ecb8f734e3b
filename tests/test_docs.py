"""The pages that repeat what the option files say."""

import re
from pathlib import Path

import pytest

from ctxext.commands.listing import listed
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
