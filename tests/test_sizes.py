"""A file is one noun and a function one verb: both stay short enough to be read at once."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILE_LINES, FUNCTION_LINES = 250, 40
FILES = sorted([*(ROOT / "ctxext").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")])


def long_functions(source: str) -> list[str]:
    """Return the functions of `source` that are too long, decorators not counted, with their lengths."""
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: node.end_lineno - node.lineno + 1 for node in functions}
    return [f"{name}: {length} lines" for name, length in lengths.items() if length > FUNCTION_LINES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_and_no_function_is_longer_than_a_screen_or_few(path):
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= FILE_LINES
    assert long_functions(source) == []


def test_a_function_of_41_lines_is_found():
    body = "    x = 1\n" * (FUNCTION_LINES - 1)
    assert long_functions(f"def short():\n{body}") == []
    assert long_functions(f"class A:\n    def long(self):\n{body.replace('    ', '        ')}        x = 1\n") == [
        "long: 41 lines"
    ]
