"""Imports look down: a floor knows those below it, and packages of one floor don't know each other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ctxext"
FLOORS = [
    {"places", "refusal", "processes", "confinement", "terminal", "maths"},
    {"seams", "strangers"},
    {"kernels", "parallel"},
    {"position", "mask", "attention", "tasks"},
    {"model", "data"},
    {"training", "evaluation", "searching", "generation", "formats", "reporting", "proving", "planning"},
    {"config"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
LEVEL = {part: level for level, floor in enumerate(FLOORS) for part in floor}
ROOT = {"__init__"}  # the version


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of every import, those inside functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno} imports relatively"
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


def faults(part: str, source: str) -> list[str]:
    """Return what the `source` of a file of the top-level `part` imports and may not."""
    found = []
    for line, name in imported(source):
        words = name.split(".")
        if words[0] != "ctxext" or words[1:2] == ["__version__"]:
            continue
        other = words[1]
        if other == part:
            continue
        if LEVEL[other] >= LEVEL[part]:
            found.append(f"line {line}: {part} imports {other}")
    return found


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_from_floors_below_and_from_its_own_package(path):
    assert part_of(path) in LEVEL.keys() | ROOT
    assert faults(part_of(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("mask", "from ctxext.model.decoder import Decoder"),
        ("mask", "from ctxext.attention import softmax"),
        ("data", "def f():\n    import ctxext.training.loop"),
        ("evaluation", "if TYPE_CHECKING:\n    from ctxext.training import loop"),
        ("maths", "from ctxext import seams"),
        ("kernels", "from ctxext import cli"),
    ],
)
def test_an_import_that_looks_up_or_sideways_is_found_wherever_it_stands(part, line):
    assert len(faults(part, line)) == 1


def test_an_import_that_looks_down_is_none_of_its_business():
    down = ["import torch", "from ctxext import __version__", "from ctxext.kernels import gather"]
    assert faults("mask", "\n".join([*down, "from ctxext.mask import causal"])) == []
