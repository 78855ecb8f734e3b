"""Write the tables of docs/methods.md: what `ctxext ls` says of each option, and what sweeps measured.

python scripts/methods.py                 # keep the measured column, take the rest from the option files
python scripts/methods.py SWEEP_FOLDER    # fill the measured column from the runs of a sweep at trainer.steps=0
"""

import json
import re
import sys
from pathlib import Path

from ctxext.commands.listing import Option, listed
from ctxext.formats.gguf.writing.reasons import REASONS

PAGE = Path(__file__).parents[1] / "docs" / "methods.md"
START, STOP = "<!-- tables: written by scripts/methods.py -->\n", "<!-- end of tables -->\n"
GROUPS = ("method", "position", "mask", "attention")
HEADER = ("what it is", "paper", "weights", "neutral at", "exports")
MEASURED, LLAMA_CPP = "nll, passkey", "llama.cpp"
LENGTH = 1024


def main() -> None:
    """Rewrite what stands between the two marks of the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    tables, after = rest.split(STOP)
    numbers = known(tables)
    for folder in sys.argv[1:]:
        numbers |= measured(Path(folder))
    written = "\n".join(table(group, numbers) for group in GROUPS)
    PAGE.write_text(before + START + "\n" + written + "\n" + STOP + after, encoding="utf-8")


def table(group: str, numbers: dict[str, str]) -> str:
    """Return the table of `group`; that of the methods ends in a column of `numbers`, others in what llama.cpp says."""
    if group == "method":
        header = [f"`+{group}=`", *HEADER, MEASURED]
        rows = [[*cells(option), numbers.get(option.name, "")] for option in listed(group)]
    else:
        header = [f"`{group}=`", *HEADER, LLAMA_CPP]
        rows = [[*cells(option), REASONS.get(option.name, "yes")] for option in listed(group)]
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def cells(option: Option) -> list[str]:
    """Return what the option's file says of it."""
    said = (option.line, option.paper, option.trained, option.neutral, option.export)
    return [f"`{option.name}`", *(text.replace("|", "\\|") for text in said)]


def known(tables: str) -> dict[str, str]:
    """Return the last column of the first of `tables`, that of the methods, by the name in the first column."""
    methods, _, _ = tables.strip().partition("\n\n")
    return dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]*?) \|$", methods, re.MULTILINE))


def measured(sweep: Path) -> dict[str, str]:
    """Return nll and passkey of each zero-shot run in the folder `sweep`, by method."""
    found = {}
    for path in sorted(sweep.glob("*/results.json")):
        results = json.loads(path.read_text(encoding="utf-8"))
        mine = [row for row in results["by_length"] if (row["subject"], row["length"]) == ("zero_shot", LENGTH)]
        tasks = [
            row
            for row in results["tasks"]
            if (row["subject"], row["length"], row["depth"]) == ("zero_shot", LENGTH, "all")
        ]
        if mine and tasks:
            found[results["run"]["method"]] = f"{mine[0]['nll']:.3f}, {tasks[0]['value']:.2f}"
    return found


if __name__ == "__main__":
    main()
