"""A program runs in a process of its own, within its bounds, and whatever it does ends in an answer."""

import resource
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from ctxext import confinement
from ctxext.confinement import asked

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Return a function from the body of `answer` to what comes of it."""

    def answer_of(body: str, seconds: float = 5.0) -> dict[str, Any]:
        (tmp_path / "program.py").write_text(f"def answer(request):\n    {body}\n")
        return asked(tmp_path / "program.py", {"word": "é"}, seconds)

    return answer_of


def test_a_program_gets_the_request_and_its_answer_comes_back(ask: Ask) -> None:
    assert ask("return {'twice': request['word'] * 2}") == {"twice": "éé"}


@pytest.mark.parametrize("error", ["ValueError('so\\nand so')", "KeyboardInterrupt('so')", "BaseException('so')"])
def test_what_it_raises_is_an_answer_in_one_line_be_it_an_exception_or_not(ask: Ask, error: str) -> None:
    assert ask(f"raise {error}") == {"error": "so"}
    assert ask("raise MemoryError") == {"error": "MemoryError"}


def test_it_imports_nothing_of_the_package_and_is_bounded_while_its_parent_is_not(ask: Ask) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    said = ask(
        "import resource, sys; return {'bounds': resource.getrlimit(resource.RLIMIT_AS), "
        "'seconds': resource.getrlimit(resource.RLIMIT_CPU), 'loaded': [n for n in sys.modules if 'ctxext' in n]}",
        6.5,
    )
    assert said == {"bounds": [confinement.MEMORY] * 2, "seconds": [7, 7], "loaded": []}
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_more_memory_than_it_may_have_is_refused_by_the_system(ask: Ask) -> None:
    assert ask("return {'size': len('x' * 3_000_000_000)}") == {"error": "MemoryError"}


def test_more_time_than_it_may_take_ends_it(ask: Ask) -> None:
    start = perf_counter()
    assert ask("\n    while True: pass", 0.4) == {"error": "it takes more than 0.4 s"}
    assert perf_counter() - start < 2


def test_a_process_that_is_killed_is_an_error(ask: Ask) -> None:
    assert "ended with status -6" in ask("import os; os.abort()")["error"]


def test_an_endless_answer_is_an_error(ask: Ask) -> None:
    assert "more than" in ask(f"return {{'text': 'x' * {confinement.LONGEST}}}")["error"]
