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


def test_what_was_not_clean_is_said_to_be_listed_and_where(
    built: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.jsonl"
    lines = [f'{{"text": "text number {n} of kind{n} has words{n} like{n} no{n} other{n}"}}' for n in range(30)]
    for dirt, is_told in (("", False), ('\n{"text": "with a\\r\\nline"}', True)):
        file.write_text("\n".join(lines) + dirt + "\n")
        words = ("base=none", "dataset=jsonl", f"dataset.path={file}", f"cache={tmp_path / 'cache'}")
        prepare(built(*words), tmp_path / f"run{is_told}")
        said = capsys.readouterr().out
        assert ("quarantine.jsonl" in said, "repaired: CRLF" in said) == (is_told, is_told)
    listed = [path for path in (tmp_path / "cache" / "tokens").glob("*/quarantine.jsonl") if path.read_text()]
    assert [str(path) in said.replace("\n", "") for path in listed] == [True]
