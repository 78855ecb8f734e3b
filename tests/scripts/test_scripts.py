"""Every script can be imported and its settings fit, so that one that the package has left behind is seen."""

import importlib.util
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ctxext.commands.listing import listed

FOLDER = Path(__file__).parents[2] / "scripts"


def loaded(name: str) -> ModuleType:
    """Return the script `name` as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_a_script_can_be_imported_and_does_nothing_by_that(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    loaded(name)
    assert capsys.readouterr() == ("", "")


def test_every_sweep_of_the_study_is_a_legal_run(built: Callable[..., Any]) -> None:
    study = loaded("study")
    for overrides in study.SWEEPS.values():
        first_choices = [override.split(",")[0] for override in overrides]
        run = built(*study.COMMON, *first_choices)
        assert run.evaluation.lengths == study.LENGTHS
        assert run.base.trained_length == study.TRAINED_LENGTH


def test_every_option_has_its_line_in_the_tables_of_the_methods() -> None:
    methods = loaded("methods")
    for group in methods.GROUPS:
        assert methods.table(group, {}).count("\n") == len(listed(group)) + 2


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sh")), ids=lambda path: path.name)
def test_a_shell_script_can_be_read_says_that_it_was_not_run_and_can_be_started(path: Path) -> None:
    subprocess.run(["bash", "-n", path], check=True)
    assert "\n# Not run: " in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o111
