"""The shipped base is made again, in small: trained, measured, and opened as any base is."""

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch

from ctxext.data.documents import Document
from ctxext.data.sources import Source
from ctxext.evaluation.settings import Evaluation
from ctxext.formats.bases import open_base
from ctxext.model.geometry import DecoderGeometry
from ctxext.tasks import recall
from ctxext.training.settings import Trainer

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_base.py"
LENGTHS = [96, 192]


@dataclass(frozen=True, kw_only=True)
class Small(Source):
    """A few documents."""

    def items(self) -> Iterator[Document]:
        """Yield them."""
        for index in range(40):
            yield Document(f"{index}", recall.document(0, index, words=300))


@pytest.fixture
def whole() -> ModuleType:
    """Return the script as it is."""
    spec = importlib.util.spec_from_file_location("train_base", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def script(whole: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the script with a small corpus, a small network, and few steps."""
    monkeypatch.setattr(whole, "Sotu", Small)
    monkeypatch.setattr(whole, "TRAINED_LENGTH", 96)
    monkeypatch.setattr(whole, "GEOMETRY", DecoderGeometry(600, 16, 24, 1, 2, 2, 8, True, 1e-5, attention_bias=True))
    monkeypatch.setattr(whole, "TRAINER", whole.TRAINER | {"steps": 3, "batch_tokens": 192, "precision": "fp32"})
    few = {"lengths": LENGTHS, "documents": 2, "samples": 5}
    monkeypatch.setattr(whole, "EVALUATION", whole.EVALUATION | few)
    return whole


def test_the_numbers_of_the_card_are_the_script_s_own(whole: ModuleType) -> None:
    trainer = whole.settings("trainer", Trainer, whole.TRAINER)
    evaluation = whole.settings("evaluation", Evaluation, whole.EVALUATION)
    assert (trainer.steps, trainer.batch_tokens, trainer.learning_rate) == (2200, 4096, 2e-3)
    assert (trainer.accumulate, trainer.adapter, trainer.max_position) == (1, "none", 256)
    assert (evaluation.lengths, evaluation.tasks, evaluation.stride) == ([128, 256, 512, 1024], ["passkey"], 128)


def test_a_base_is_trained_measured_and_opened_as_any_other(script: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    script.main(tmp_path / "work", folder)
    base = open_base(str(folder))
    assert base.geometry() == script.GEOMETRY
    network = base.geometry().build(*base.members())
    network.load_state_dict(base.weights())
    tokens = torch.arange(20)[None] + 5
    assert network.hidden(tokens, torch.arange(20)[None]).isfinite().all()
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "3 steps of 192 tokens (576 in all)" in card
    rows = [line.split(" | ") for line in card.splitlines() if line.startswith("| ")][2:]
    assert [int(row[0][2:]) for row in rows] == LENGTHS
    assert all(4 < float(nll) < 9 for _, nll, _, _ in rows)
    assert all("n 5)" in passkey for *_, passkey in rows)


def test_what_was_trained_and_measured_is_not_done_again(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    script.main(tmp_path / "work", folders[0])
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "work" / "checkpoints").rglob("*.safetensors")}
    assert written
    script.main(tmp_path / "work", folders[1])
    assert written == {path: path.stat().st_mtime_ns for path in written}
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert first == second
