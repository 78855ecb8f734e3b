"""`ctxext export`: a run as files that others load."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ctxext.commands.export import export
from ctxext.config.schema import Run
from ctxext.position.alibi import Alibi
from ctxext.position.rope import RopeNtk
from ctxext.refusal import Refusal


@pytest.fixture
def saved(finished: Any, tmp_path: Path) -> Run:
    """A copy of the finished run, without its export, as `export run=` composes it."""
    shutil.copytree(finished.folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "export")
    run: Run = dataclasses.replace(finished.run, run=str(tmp_path / "run"))
    return run


def test_a_run_is_exported_into_its_own_folder(
    saved: Run, finished: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run" / "results.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"export": {}}))
    export(saved, tmp_path / "hydra")
    target = tmp_path / "run" / "export" / "hf"

    assert f"{target}: exact, largest logit difference " in capsys.readouterr().out
    for name in ("model.safetensors", "config.json", "tokenizer.json", "README.md"):
        assert (target / name).read_bytes() == (finished.folder / "export" / "hf" / name).read_bytes()
    assert json.loads(file.read_text())["export"]["label"] == "exact"


def test_another_composition_leaves_the_run_s_own_export_and_numbers_alone(saved: Run, tmp_path: Path) -> None:
    before = (tmp_path / "run" / "results.json").read_bytes()
    export(dataclasses.replace(saved, position=RopeNtk(10000.0, 2.0)), tmp_path / "hydra")

    assert (tmp_path / "hydra" / "export" / "hf" / "config.json").is_file()
    assert not (tmp_path / "run" / "export").exists()
    assert (tmp_path / "run" / "results.json").read_bytes() == before


def test_a_run_without_results_is_exported_without_a_card(saved: Run, tmp_path: Path) -> None:
    (tmp_path / "run" / "results.json").unlink()
    export(saved, tmp_path / "hydra")

    names = {path.name for path in (tmp_path / "run" / "export" / "hf").iterdir()}
    assert "model.safetensors" in names
    assert "README.md" not in names


def test_what_has_no_home_is_refused_in_a_sentence(saved: Run, tmp_path: Path) -> None:
    with pytest.raises(Refusal) as raised:
        export(dataclasses.replace(saved, position=Alibi()), tmp_path / "hydra")

    assert str(raised.value).startswith(f"{saved.run}: not exportable to hf, ")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "hydra" / "export").exists()


def test_a_run_that_asked_for_no_format_is_exported_where_it_is_asked_for_now(saved: Run, tmp_path: Path) -> None:
    export(dataclasses.replace(saved, export=dataclasses.replace(saved.export, format=[])), tmp_path / "hydra")
    assert (tmp_path / "run" / "export" / "hf" / "config.json").is_file()
