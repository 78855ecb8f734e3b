"""What goes with a tokenizer, written and read back."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from ctxext.formats.companions import LONGEST, Companions, plain_companions, read_companions
from ctxext.refusal import Refusal


def test_what_is_written_is_read_back_with_the_length_put_in(tmp_path: Path) -> None:
    companions = Companions({"eos_token": "</s>"}, {"eos_token_id": [2, 7], "do_sample": True}, "{{ messages }}\n")
    companions.write(tmp_path, 512)
    found = read_companions(tmp_path)

    assert found.tokenizer_config == {"eos_token": "</s>", "model_max_length": 512}
    assert found.generation_config == companions.generation_config
    assert found.chat_template == "{{ messages }}\n"


@pytest.mark.parametrize("several", [False, True])
def test_a_template_among_the_settings_is_taken_the_default_one_of_several(tmp_path: Path, several: bool) -> None:
    named = [{"name": "tools", "template": "b"}, {"name": "default", "template": "a"}]
    settings = {"eos_token": "</s>", "chat_template": named if several else "a"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    assert read_companions(tmp_path) == Companions({"eos_token": "</s>"}, {}, "a")
    (tmp_path / "chat_template.jinja").write_text("file")
    assert read_companions(tmp_path).chat_template == "file"


def test_a_template_among_the_settings_is_as_short_as_one_in_a_file(tmp_path: Path) -> None:
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text(json.dumps({"chat_template": "é" * (LONGEST // 2)}))
    assert len(read_companions(tmp_path).chat_template) == LONGEST // 2
    settings.write_text(json.dumps({"chat_template": "é" * (LONGEST // 2 + 1)}))
    with pytest.raises(
        Refusal, match=r"tokenizer_config\.json: chat_template must have at most 1048576 bytes, got 104857"
    ):
        read_companions(tmp_path)


def test_files_that_are_absent_are_empty(tmp_path: Path) -> None:
    assert read_companions(tmp_path) == Companions({}, {}, "")
    Companions({}, {}).write(tmp_path, 8)
    assert not (tmp_path / "chat_template.jinja").exists()


def test_the_ends_are_one_id_several_or_none() -> None:
    assert [Companions({}, {"eos_token_id": ids}).ends for ids in (3, [3, 5], None)] == [(3,), (3, 5), ()]
    assert Companions({}, {}).ends == ()


def test_a_tokenizer_trained_here_has_one_control_token_for_all(tmp_path: Path, tokenizer: Tokenizer) -> None:
    companions = plain_companions(tokenizer)
    companions.write(tmp_path, 64)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())

    assert companions.ends == (tokenizer.token_to_id("<|endoftext|>"),)
    assert settings["bos_token"] == settings["eos_token"] == settings["pad_token"] == "<|endoftext|>"
    assert companions.generation_config["do_sample"] is False


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"x" * 1048577, "must have at most 1048576"), (b"\xff", "not UTF-8")]
)
def test_a_template_is_a_bounded_text(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "chat_template.jinja").write_bytes(content)
    with pytest.raises(Refusal, match=rf"chat_template\.jinja: {sentence}"):
        read_companions(tmp_path)
