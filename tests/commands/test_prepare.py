"""`ctxext prepare`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctxext.commands.prepare import prepare
from ctxext.config.schema import Run
from ctxext.data.corpus import Corpus
from ctxext.refusal import Refusal


def test_it_leaves_the_encoded_parts_and_says_where(
    tiny: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(tiny(), tmp_path / "run")
    said = capsys.readouterr().out

    (folder,) = (tmp_path / "cache" / "tokens").iterdir()
    train = Corpus.open(folder / "train")
    assert f"{folder}: {len(train.tokens):,} tokens to train on" in said
    assert "kept: train" in said
    assert not (tmp_path / "cache" / "bases").exists()


def test_bad_input_is_refused_with_its_line(built: Callable[..., Run], tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "one"}\n{"text": \n')
    run = built("base=none", "dataset=jsonl", f"dataset.path={file}", f"cache={tmp_path / 'cache'}")

    with pytest.raises(Refusal, match=r"a\.jsonl:2"):
        prepare(run, tmp_path / "run")
