"""Where the option files lie, and what their names and first lines say; read as text, so that no import is needed."""

import re
from functools import cache
from pathlib import Path

PACKAGED, CHECKOUT = Path(__file__).parents[1] / "conf", Path(__file__).parents[2] / "conf"
CONFIG_DIR = PACKAGED if PACKAGED.is_dir() else CHECKOUT
GROUPS = ("method", "model", "base", "position", "mask", "attention", "dataset", "trainer", "evaluation", "export")
SLOTS = ("model", "position", "mask", "attention", "dataset")
"""The groups whose options name a class in `_target_`."""


def option_files(group: str) -> list[Path]:
    """Return the option files of `group` in the order of their names, without what they share."""
    return sorted(path for path in (CONFIG_DIR / group).glob("*.yaml") if not path.stem.startswith("_"))


def options(group: str) -> list[str]:
    """Return the names of the options of `group`."""
    return [path.stem for path in option_files(group)]


@cache
def targets(slot: str) -> dict[str, str]:
    """Return the class that each option of `slot` names, by option: nothing else is ever instantiated there."""
    found = {}
    for path in option_files(slot):
        target = re.search(r"^_target_: *(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if target:
            found[path.stem] = target[1]
    return found


def option_of(slot: str, target: object) -> str:
    """Return the option of `slot` that names the class `target`, or `target` itself where none does."""
    return next((option for option, named in targets(slot).items() if named == target), str(target))


def options_with(slot: str, key: str) -> list[str]:
    """Return the options of `slot` whose files hold `key`."""
    has_key = re.compile(rf"^{re.escape(key)}:", re.MULTILINE)
    return [path.stem for path in option_files(slot) if has_key.search(path.read_text(encoding="utf-8"))]
