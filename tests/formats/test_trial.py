"""A stranger's tokenizer is tried out before it is used, and what would harm is refused by its file."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytest
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers

from ctxext.data.tokenizer import END, train_tokenizer
from ctxext.formats import trial
from ctxext.formats.bases import located
from ctxext.formats.trial import tried
from ctxext.refusal import Refusal

Saved = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Return a function from the parts of a tokenizer to the file of one that has them."""

    def save(**parts: object) -> Path:
        tokenizer = train_tokenizer(["the end of the text"], 300)
        for name, part in parts.items():
            setattr(tokenizer, name, part)
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        return tmp_path / "tokenizer.json"

    return save


HARMFUL = {
    "tries every way to cut a run": {"pre_tokenizer": pre_tokenizers.Split(Regex("(q+)+b"), "isolated")},
    "multiplies a letter": {"normalizer": normalizers.Sequence([normalizers.Replace("z", "z" * 10)] * 8)},
    "multiplies a letter that no trial holds": {
        "normalizer": normalizers.Sequence([normalizers.Replace("ж", "ж" * 10)] * 8)
    },
    "inserts everywhere": {"normalizer": normalizers.Replace(Regex("y*"), "y" * 999)},
    "multiplies in decoding": {"decoder": decoders.Sequence([decoders.Replace("z", "z" * 10)] * 8)},
    "spells bytes as bytes": {"pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.ByteLevel()] * 30)},
}


@pytest.mark.parametrize("parts", HARMFUL.values(), ids=HARMFUL.keys())
def test_a_tokenizer_that_would_take_memory_or_time_without_end_is_refused(saved: Saved, parts: dict) -> None:
    start = perf_counter()
    with pytest.raises(Refusal, match=r"tokenizer\.json: not a tokenizer\.json that can be used \(.+\)$"):
        tried(saved(**parts))
    assert perf_counter() - start < 10


def test_an_ordinary_one_is_read_and_is_tried_once(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved()
    assert tried(file).to_str() == Tokenizer.from_file(str(file)).to_str()
    monkeypatch.setattr(trial, "asked", lambda *_: {"error": "asked again"})
    assert END in tried(file).get_vocab()


def test_the_shipped_one_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "asked", lambda *_: {"error": "asked"})
    assert tried(located("pkg://tiny") / "tokenizer.json").get_vocab_size() > 256


def test_a_file_that_cuts_texts_or_fills_them_up_does_neither(saved: Saved) -> None:
    file = saved()
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=100_000_000)
    tokenizer.save(str(file))
    found = tried(file)
    text = "the end of the text, and more of it"
    assert found.decode(found.encode(text).ids) == text


def test_a_file_of_more_bytes_than_any_has_is_refused_unread(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "LARGEST", 99)
    with pytest.raises(Refusal, match=r"tokenizer\.json: a tokenizer\.json must have at most 99 bytes, got \d+"):
        tried(saved())
