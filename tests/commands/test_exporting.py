"""A network in each format that is asked for."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.commands.exporting import each, told, write_exports
from ctxext.commands.foundation import prepared
from ctxext.config.schema import Run
from ctxext.formats.bases import open_base
from ctxext.formats.companions import plain_companions
from ctxext.position.alibi import Alibi
from ctxext.reporting.journal import Journal


@pytest.fixture
def exported(tiny: Callable[..., Run], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that exports an untrained network, with changes of the run, into tmp_path / "run"."""

    def write(*words: str, **changes: Any) -> dict[str, Any]:
        run, journal = dataclasses.replace(tiny(*words), **changes), Journal(tmp_path, "a")
        tokenizer = prepared(run, journal).tokenizer
        network = run.model.build(run.position, run.mask, run.attention).eval()
        folder = tmp_path / "run"
        return write_exports(run, folder, network, tokenizer, plain_companions(tokenizer), journal)

    return write


def test_each_format_has_its_file_its_label_and_its_line(
    exported: Callable[..., dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = exported("export.format=[hf,gguf]", "export.gguf_type=F32", "+method=rope_interp")
    said = capsys.readouterr().out

    assert [found["format"] for found in each(label)] == ["hf", "gguf"]
    assert json.loads((tmp_path / "run" / "export" / "hf" / "config.json").read_text())["rope_scaling"]["factor"] == 2.0
    position, _, _ = open_base(str(tmp_path / "run" / "export" / "model.gguf")).members()
    assert position.factor == 2.0  # type: ignore[attr-defined]
    for line in (line for found in each(label) for line in found["serve"]):
        assert f"serve  {line}" in said
    assert "llama-server -m" in said


def test_one_format_alone_has_no_others(exported: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    label = exported("export.format=[gguf]")
    assert "others" not in label
    assert label["format"] == "gguf"
    assert not (tmp_path / "run" / "export" / "hf").exists()


def test_where_no_format_is_asked_for_the_folder_is_written(
    exported: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    assert exported()["format"] == "hf"
    assert (tmp_path / "run" / "export" / "hf" / "model.safetensors").is_file()


def test_what_has_no_home_is_told_with_its_reason_and_leaves_nothing(
    exported: Callable[..., dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = exported("export.format=[hf,gguf]", position=Alibi())
    assert [found["label"] for found in each(label)] == ["not exportable"] * 2
    assert all(found["reason"].startswith("position=alibi") for found in each(label))
    assert "alibi" not in capsys.readouterr().out, "the command says it, once"
    assert not list((tmp_path / "run").rglob("*.*"))


def test_nothing_written_is_no_label() -> None:
    assert list(each({})) == []


def test_the_line_says_of_how_large_logits_a_difference_is_why_and_what_to_know() -> None:
    exact = {"label": "exact", "max_logit_difference": 1.1e-4, "max_logit": 34.91}
    assert told(Path("a"), exact) == "a: exact, largest logit difference 1.1e-04 of 34.9"
    notes = {"reason": "it differs most with a cache", "notes": ["One thing.", "Another."]}
    assert told(Path("a"), exact | {"label": "approximate"} | notes) == (
        "a: approximate, largest logit difference 1.1e-04 of 34.9, it differs most with a cache (One thing) (Another)"
    )
