"""Where the option files lie, and what their names and first lines say; read as text, so that no import is needed."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from ctxext.refusal import nearest, require
from ctxext.strangers import text_of

PACKAGED, CHECKOUT = Path(__file__).parents[1] / "conf", Path(__file__).parents[2] / "conf"
CONFIG_DIR = PACKAGED if PACKAGED.is_dir() else CHECKOUT
GROUPS = (
    "method",
    "model",
    "base",
    "position",
    "mask",
    "attention",
    "dataset",
    "trainer",
    "evaluation",
    "search",
    "export",
    "parallel",
    "hardware",
    "space",
)
SLOTS = ("model", "position", "mask", "attention", "dataset")
"""The groups whose options name a class in `_target_`."""

OWN: ContextVar[Path | None] = ContextVar("OWN", default=None)
"""The folder of the user's own options: what was typed decides which classes may be made, never a file of a run."""


@contextmanager
def including(folder: Path | None) -> Iterator[None]:
    """Let the options in `folder`, the --config-dir of the command line, stand beside the packaged ones."""
    require(folder is None or folder.is_dir(), f"--config-dir {folder}: no such folder")
    before = OWN.set(folder)
    try:
        yield
    finally:
        OWN.reset(before)


def option_files(group: str) -> list[Path]:
    """Return the option files of `group` in the order of their names, without what they share."""
    return files_in(group, OWN.get())


def files_in(group: str, own: Path | None) -> list[Path]:
    """Return the option files of `group`, those in the folder `own` among them."""
    # The packaged one comes last and wins over the user's own of the same name, as in Hydra's search path.
    folders = [folder / group for folder in (own, CONFIG_DIR) if folder is not None]
    found = {path.stem: path for folder in folders for path in folder.glob("*.yaml")}
    return [found[name] for name in sorted(found) if not name.startswith("_")]


def option_file(group: str, name: str) -> Path:
    """Return the file of the option `name` of `group`."""
    found = [path for path in option_files(group) if path.stem == name]
    require(bool(found), f"{group}={name}: no such option{nearest(name, options(group))}")
    return found[0]


def options(group: str) -> list[str]:
    """Return the names of the options of `group`."""
    return [path.stem for path in option_files(group)]


def targets(slot: str) -> dict[str, str]:
    """Return the class that each option of `slot` names, by option: nothing else is ever instantiated there."""
    own = OWN.get()
    return targets_in(slot, None if own is None else own.absolute())


@cache
def targets_in(slot: str, own: Path | None) -> dict[str, str]:
    """Return the class that each option of `slot` names, those in the folder `own` among them."""
    found = {}
    for path in files_in(slot, own):
        target = re.search(r"^_target_: *(\S+)", text_of(path), re.MULTILINE)
        if target:
            found[path.stem] = target[1]
    return found


def option_of(slot: str, settings: Mapping[str, object]) -> str:
    """Return the option of `slot` that names the class in `_target_` of `settings`, or the class where none does.

    Of several it is the one whose file agrees with most of the `settings`.
    """
    target = settings.get("_target_")
    same = [option for option, named in targets(slot).items() if named == target]
    if len(same) < 2:
        return same[0] if same else str(target)
    return max(same, key=lambda option: agreement(option_file(slot, option), settings))


def preset(slot: str, settings: Mapping[str, object]) -> dict[str, Any]:
    """Return the values in the option file of `slot` for the class in `_target_` of `settings`, with what it builds on.

    Nothing if no option names that class.
    """
    option = option_of(slot, settings)
    return values_in(option_file(slot, option)) if option in options(slot) else {}


def values_in(path: Path) -> dict[str, Any]:
    """Return the values in the option file at `path` on top of those in the files of its group that it builds on."""
    from omegaconf import OmegaConf

    content: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    found: dict[str, Any] = {}
    for name in content.pop("defaults", []):
        homes = [folder / f"{name}.yaml" for folder in (path.parent, CONFIG_DIR / path.parent.name)]
        for home in [home for home in homes if home.is_file()][:1]:
            found |= values_in(home)
    found |= content
    return found


def agreement(path: Path, settings: Mapping[str, object]) -> int:
    """Return how many of the `settings` stand in the option file `path` as they are."""
    from omegaconf import OmegaConf

    written: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    return len([key for key, value in written.items() if key in settings and settings[key] == value])


def trained(slot: str, option: str) -> str:
    """Return what the file of the `option` of `slot` says of training, or nothing."""
    return found_in(slot, option, r"^# trained: (.+)$")


def fixed(slot: str, option: str, key: str) -> float | None:
    """Return the number that the file of the `option` of `slot` gives `key`, or None where it has none of its own."""
    number = found_in(slot, option, rf"^{re.escape(key)}: *([-+.\deE]+) *(?:#.*)?$")
    return float(number) if number else None


def found_in(slot: str, option: str, pattern: str) -> str:
    """Return what the group of the `pattern` finds in the file of the `option` of `slot`, or nothing."""
    if option not in options(slot):
        return ""
    line = re.search(pattern, text_of(option_file(slot, option)), re.MULTILINE)
    return line[1] if line else ""


def options_with(slot: str, key: str) -> list[str]:
    """Return the options of `slot` whose files hold `key`."""
    has_key = re.compile(rf"^{re.escape(key)}:", re.MULTILINE)
    return [path.stem for path in option_files(slot) if has_key.search(text_of(path))]
