"""Results of somebody else in a comparison: whatever stands in them, it ends with a table or in a sentence."""

import copy
import json
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from scale import times

from ctxext import cli

PUT = (0, 1, -1, 0.5, 1e308, 2**70, True, None, "x", "", "\x1b[2J", [], [1], ["x"], [[]], {}, {"a": 1}, {"a": {}})
"""What is put in the place of a value."""
FORMS: tuple[list[str], ...] = ([], ["--markdown"], ["--json"])
PYTHON_S = ("Traceback", "typing.", "<class", "HYDRA_FULL_ERROR", "'NoneType'", "object is not")
Place = tuple[str | int, ...]


@pytest.fixture(scope="module")
def real(program: Program) -> Path:
    """Return a sweep of two runs that measured something of everything."""
    tasks = "evaluation.tasks=[passkey] evaluation.samples=2 evaluation.depths=[0.0,1.0] evaluation.lengths=[30,64]"
    asked = f"evaluation.subjects=[base,truncated,zero_shot,extended] evaluation.repeats=1 export.format=[hf] {tasks}"
    ended = program.run("sweep/0_a", "+method=rope_interp", *asked.split())
    assert ended.status == 0, ended.said
    shutil.copytree(program.root / "sweep" / "0_a", program.root / "sweep" / "1_b")
    return program.root / "sweep"


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Return a function that types words after `ctxext compare`, and returns the exit status and what was printed."""
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def type_words(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ctxext", "compare", *words])
        status = cli.main()
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return type_words


def places(node: Any, above: Place = ()) -> Iterator[Place]:
    """Yield where each value stands in `node`, lists and objects too."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from places(value, (*above, key))


def spoilt(content: Any, place: Place, value: Any) -> Any:
    """Return `content` with `value` at `place`."""
    changed = node = copy.deepcopy(content)
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    return changed


def test_any_value_of_real_results_may_be_any_other(
    real: Path, tmp_path: Path, compared: Callable[..., tuple[int, str]], tell: Callable[[str], None]
) -> None:
    folder = shutil.copytree(real, tmp_path / "sweep")
    file = folder / "0_a" / "results.json"
    content = json.loads(file.read_text())
    cases = [(place, value) for place in places(content) for value in PUT]
    sampled = random.Random(0).sample(cases, times(150, 600))
    found = {0: 0, 2: 0}
    for number, (place, value) in enumerate(sampled):
        file.write_text(json.dumps(spoilt(content, place, value)))
        status, said = compared(str(folder), *FORMS[number % len(FORMS)])
        assert status in found, (place, value, said)
        assert not [piece for piece in PYTHON_S if piece in said], (place, value, said)
        assert "\x1b" not in said, (place, value)
        found[status] += 1
    tell(f"compare: {len(sampled)} results with a value replaced, {found[0]} compared, {found[2]} refused")


@pytest.mark.parametrize("name", ["documents.jsonl", "samples.jsonl"])
def test_so_may_any_value_of_a_line(
    name: str, real: Path, tmp_path: Path, compared: Callable[..., tuple[int, str]]
) -> None:
    folder = shutil.copytree(real, tmp_path / "sweep")
    file = folder / "0_a" / name
    first, *others = file.read_text().splitlines()
    content = json.loads(first)
    cases = [(place, value) for place in places(content) for value in PUT]
    for place, value in random.Random(0).sample(cases, min(times(15, 150), len(cases))):
        file.write_text("\n".join([json.dumps(spoilt(content, place, value)), *others]) + "\n")
        status, said = compared(str(folder))
        assert status in (0, 2), (place, value, said)
        assert not [piece for piece in PYTHON_S if piece in said], (place, value, said)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", '{"status": 1, "sentence": []}', "[]", '{"status": "\ud800"}'])
def test_a_failure_of_any_form_is_no_more_than_a_hint(
    text: str, real: Path, tmp_path: Path, compared: Callable[..., tuple[int, str]]
) -> None:
    folder = shutil.copytree(real, tmp_path / "sweep")
    (folder / "1_b" / "results.json").unlink()
    (folder / "1_b" / "failure.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    status, said = compared(str(folder))
    assert status == 0
    assert "no results.json" in said


def test_what_names_say_to_a_terminal_is_not_heard(
    real: Path, tmp_path: Path, compared: Callable[..., tuple[int, str]]
) -> None:
    folder = shutil.copytree(real, tmp_path / "sweep")
    file = folder / "0_a" / "results.json"
    content = json.loads(file.read_text())
    for section, key in (("run", "name"), ("run", "method"), ("protocol", "caution"), ("run", "base")):
        content[section][key] = "\x1b]0;mine\x07\x9b2J\u202e"
    file.write_text(json.dumps(content))
    for form in FORMS:
        status, said = compared(str(folder), *form)
        assert status == 0
        assert not set("\x1b\x07\x9b\u202e").intersection(said)
