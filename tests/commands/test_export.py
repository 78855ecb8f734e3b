"""`ctxext export`: a run as files that others load."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ctxext.commands.export import export
from ctxext.config.schema import Run
from ctxext.formats.bases import open_base
from ctxext.mask.sliding_window import SlidingWindow
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


def test_a_run_without_results_has_a_card_that_says_what_is_not_known(saved: Run, tmp_path: Path) -> None:
    (tmp_path / "run" / "results.json").unlink()
    export(saved, tmp_path / "hydra")

    text = (tmp_path / "run" / "export" / "hf" / "README.md").read_text()
    assert "trained at 48 tokens and read at 96, by rope_interp" in text
    assert "- by_length: ctxext export measures none; ctxext eval does" in text
    assert "Label of the hf files: **exact**" in text
    assert "## By length" not in text
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert (results["by_length"], results["export"]["label"]) == ([], "exact")
    assert "trained_tokens" not in results["run"], "how far it came stands nowhere"


def test_a_base_is_exported_with_its_card(saved: Run, tmp_path: Path) -> None:
    export(saved, tmp_path / "hydra")
    source = tmp_path / "run" / "export" / "hf"
    (source / "README.md").write_text("---\nlicense: mit\nlanguage: en\n---\n# A base")
    base = dataclasses.replace(saved.base, path=str(source), steps=0)
    trainer = dataclasses.replace(saved.trainer, steps=0)
    own = dict(zip(("position", "mask", "attention"), open_base(str(source)).members(), strict=True))

    export(dataclasses.replace(saved, run="", base=base, trainer=trainer, **own), tmp_path / "again")

    text = (tmp_path / "again" / "export" / "hf" / "README.md").read_text()
    assert 'license: "mit"' in text
    assert "RopeInterp(" in text
    assert "vllm serve . --max-model-len 96" in text
    assert "BASE" not in text.split("```bash")[1].split("```")[0], "the base has this rope already"
    assert json.loads((tmp_path / "again" / "results.json").read_text())["run"]["origin"]["license"] == "mit"


def test_a_format_that_is_refused_spoils_no_other_and_leaves_none_of_its_earlier_files(
    saved: Run, tmp_path: Path
) -> None:
    stale = tmp_path / "run" / "export" / "model.gguf"
    stale.parent.mkdir()
    stale.write_bytes(b"of an earlier export")
    (tmp_path / "run" / "results.json").unlink()
    both = dataclasses.replace(saved.export, format=["hf", "gguf"])

    with pytest.raises(Refusal) as raised:
        export(dataclasses.replace(saved, export=both, mask=SlidingWindow(20)), tmp_path / "hydra")

    told = str(raised.value)
    assert told.startswith(f"{saved.run}: not exportable to gguf, mask=sliding_window")
    assert "not exportable to hf" not in told
    assert not stale.exists()
    assert "Label of the gguf files: **not exportable**" in (stale.parent / "hf" / "README.md").read_text()
    label = json.loads((tmp_path / "run" / "results.json").read_text())["export"]
    assert [label["label"], label["others"][0]["label"]] == ["exact", "not exportable"]


def test_a_further_format_leaves_what_is_known_of_the_first(saved: Run, tmp_path: Path) -> None:
    export(saved, tmp_path / "hydra")
    export(dataclasses.replace(saved, export=dataclasses.replace(saved.export, format=["gguf"])), tmp_path / "hydra")

    label = json.loads((tmp_path / "run" / "results.json").read_text())["export"]
    assert (label["format"], [other["format"] for other in label["others"]]) == ("gguf", ["hf"])
    assert "Label of the gguf files" in (tmp_path / "run" / "export" / "hf" / "README.md").read_text()


def test_an_export_into_the_folder_of_another_composition_leaves_its_numbers(saved: Run, tmp_path: Path) -> None:
    before = (tmp_path / "run" / "results.json").read_bytes()
    export(dataclasses.replace(saved, position=RopeNtk(10000.0, 2.0)), tmp_path / "run")
    assert (tmp_path / "run" / "results.json").read_bytes() == before
    assert "RopeNtk(" in (tmp_path / "run" / "export" / "hf" / "README.md").read_text()


def test_what_has_no_home_is_refused_in_a_sentence(saved: Run, tmp_path: Path) -> None:
    with pytest.raises(Refusal) as raised:
        export(dataclasses.replace(saved, position=Alibi()), tmp_path / "hydra")

    assert str(raised.value).startswith(f"{saved.run}: not exportable to hf, ")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "hydra" / "export").exists()


def test_a_run_that_asked_for_no_format_is_exported_where_it_is_asked_for_now(saved: Run, tmp_path: Path) -> None:
    export(dataclasses.replace(saved, export=dataclasses.replace(saved.export, format=[])), tmp_path / "hydra")
    assert (tmp_path / "run" / "export" / "hf" / "config.json").is_file()
