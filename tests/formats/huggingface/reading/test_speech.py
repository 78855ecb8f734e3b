"""Control tokens, templates and ids of a Hugging Face folder, wherever it keeps them."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from ctxext.formats.companions import Companions
from ctxext.formats.huggingface.reading.keys import Keys
from ctxext.formats.huggingface.reading.speech import read_speech
from ctxext.refusal import Refusal


def speech(folder: Path, config: dict[str, Any] | None = None, **files: dict[str, Any]) -> Companions:
    """Return what is read of a folder with JSON `files`."""
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return read_speech(folder, Keys(folder / "config.json", config or {}), 300)


def test_ids_are_those_of_the_generation_or_else_of_the_config(tmp_path: Path) -> None:
    said = {"eos_token_id": [7, 0], "temperature": 0.6, "_from_model_config": True}
    found = speech(tmp_path, {"eos_token_id": 3, "bos_token_id": 0, "vocab_size": 300}, generation_config=said)
    assert found.generation_config == {"eos_token_id": [7, 0], "temperature": 0.6, "bos_token_id": 0}
    assert found.ends == (7, 0)
    (tmp_path / "generation_config.json").unlink()
    assert speech(tmp_path, {"eos_token_id": 3}).generation_config == {"eos_token_id": 3}


def test_ids_that_the_vocabulary_has_not_are_left_out(tmp_path: Path) -> None:
    said = {"eos_token_id": [300, 7], "pad_token_id": -1, "bos_token_id": 128000}
    assert speech(tmp_path, {"bos_token_id": 5}, generation_config=said).generation_config == {
        "eos_token_id": [7],
        "bos_token_id": 5,
    }


@pytest.mark.parametrize("word", ["<|endoftext|>", {"content": "<|endoftext|>", "lstrip": False}])
def test_an_end_that_only_the_tokenizer_s_settings_name_is_found(
    word: Any, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    found = speech(tmp_path, special_tokens_map={"eos_token": word}, tokenizer_config={"bos_token": "<none>"})
    assert found.ends == (tokenizer.token_to_id("<|endoftext|>"),)
    assert found.tokenizer_config == {"eos_token": word, "bos_token": "<none>"}
    assert "bos_token_id" not in found.generation_config


@pytest.mark.parametrize(
    "template",
    ["{{ messages }}", [{"name": "tools", "template": "b"}, {"name": "default", "template": "{{ messages }}"}]],
)
def test_a_template_inside_the_settings_moves_to_its_own_place(template: Any, tmp_path: Path) -> None:
    found = speech(tmp_path, tokenizer_config={"chat_template": template, "eos_token": None})
    assert found.chat_template == "{{ messages }}"
    assert "chat_template" not in found.tokenizer_config
    found.write(tmp_path, 64)
    assert speech(tmp_path).chat_template == "{{ messages }}"


def test_a_template_in_a_file_wins(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("file")
    assert speech(tmp_path, tokenizer_config={"chat_template": "settings"}).chat_template == "file"


def test_what_is_no_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"tokenizer_config\.json: chat_template must be a text"):
        speech(tmp_path, tokenizer_config={"chat_template": 3})


def test_a_folder_that_says_nothing_has_nothing(tmp_path: Path) -> None:
    assert speech(tmp_path) == Companions({}, {}, "")
