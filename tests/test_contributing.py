"""What CONTRIBUTING.md shows: a method in a folder of one's own is listed, trained and evaluated."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ctxext import cli
from ctxext.reporting import plots

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
FILE = re.compile(r"^`mine/(\S+)`, [^\n]*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^ctxext (.*)$", re.MULTILINE)
SMALL = """
    base=none base.trained_length=32 base.steps=2 base.batch_tokens=128 context_length=64 device=cpu
    model.vocab_size=300 model.hidden_size=32 model.intermediate_size=48 model.num_hidden_layers=1
    model.num_attention_heads=2 model.num_key_value_heads=1 model.head_dim=16
    dataset=recall dataset.count=60 dataset.words=120 dataset.near_duplicates=1
    trainer.steps=1 trainer.batch_tokens=256
    evaluation.lengths=[16,32,64] evaluation.scored_tokens=8 evaluation.documents=4 evaluation.tasks=[]
    export.format=[] hydra.run.dir=first
""".split()  # noqa: SIM905


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return a function that types words after `ctxext` beside the page's folder `mine`, and returns the status."""
    for name, content in FILE.findall(PAGE.read_text(encoding="utf-8")):
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "mine"))
    monkeypatch.delitem(sys.modules, "squares", raising=False)
    monkeypatch.setattr(plots, "draw", lambda results, folder: [])

    def type_words(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["ctxext", *words])
        return cli.main()

    return type_words


def test_the_page_shows_a_class_an_option_an_overlay_and_how_they_are_used() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name, _ in FILE.findall(page)] == ["squares.py", "position/squared.yaml", "method/squared.yaml"]
    assert [line.split()[0] for line in COMMAND.findall(page)] == ["ls", "train", "eval"]


def test_a_method_in_a_folder_of_ones_own_is_listed_trained_and_evaluated(
    typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    listing, training, evaluation = COMMAND.findall(PAGE.read_text(encoding="utf-8"))

    assert typed(*listing.split()) == 0
    assert "\nposition=squared " in capsys.readouterr().out

    assert typed(*training.split(), *SMALL) == 0
    assert "factor: 2.0" in Path("first/config.yaml").read_text(encoding="utf-8")
    assert (Path("first") / "results.json").is_file()

    assert typed(*re.sub(r"run=\S+", "run=first", evaluation).split(), "hydra.run.dir=second") == 0
    assert "Squared(" in Path("second/results.json").read_text(encoding="utf-8")


def test_a_run_names_no_class_for_another_command_line(
    typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("first").mkdir()
    assert typed("train", "--config-dir", "mine", "+method=squared", "--cfg", "job", "--resolve") == 0
    Path("first/config.yaml").write_text(capsys.readouterr().out, encoding="utf-8")

    assert typed("eval", "run=first") == 2
    assert "position._target_ must be one of ctxext.position" in capsys.readouterr().err
