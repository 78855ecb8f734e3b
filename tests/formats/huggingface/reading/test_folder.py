"""A Hugging Face folder as a base: its tokenizer, its license, and the round trip through our own files."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from ctxext.formats.companions import plain_companions
from ctxext.formats.huggingface.reading.folder import HuggingFaceBase
from ctxext.formats.huggingface.writing.folder import write
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.maths.amplitude import yarn_attention_factor
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope, Yarn
from ctxext.refusal import Refusal


def test_what_was_written_is_read_back(
    tmp_path: Path, decoder_of: Callable[..., Decoder], tokenizer: Tokenizer
) -> None:
    decoder = decoder_of(Yarn(20000.0, 4.0, 64, 32.0, 1.0, yarn_attention_factor(4.0)), SlidingWindow(24))
    write(tmp_path / "hf", decoder, tokenizer, plain_companions(tokenizer), 256)
    base = HuggingFaceBase(tmp_path / "hf")

    assert base.geometry() == decoder.geometry
    assert base.members() == (decoder.position, decoder.mask, decoder.attention)
    assert base.trained_length() == 256
    assert base.tokenizer().to_str() == tokenizer.to_str()
    assert base.companions().ends == plain_companions(tokenizer).ends


def test_a_qwen2_is_read_back_with_its_biases(
    tmp_path: Path, decoder_of: Callable[..., Decoder], biased: DecoderGeometry, tokenizer: Tokenizer
) -> None:
    decoder = decoder_of(Rope(10000.0), SlidingWindow(32), geometry=biased)
    write(tmp_path / "hf", decoder, tokenizer, plain_companions(tokenizer), 256)
    base = HuggingFaceBase(tmp_path / "hf")

    assert base.geometry() == biased
    assert base.members()[1] == SlidingWindow(32)
    assert sum(name.endswith("proj.bias") for name in base.weights()) == 3 * biased.num_hidden_layers


def test_a_tokenizer_that_does_not_fit_the_vocabulary_is_refused_with_both_numbers(
    folder_of: Callable[..., Path], tokenizer: Tokenizer
) -> None:
    folder, last = folder_of("llama"), tokenizer.get_vocab_size() - 1
    tokenizer.save(str(folder / "tokenizer.json"))
    with pytest.raises(Refusal) as caught:
        HuggingFaceBase(folder).tokenizer()
    said = f"{folder / 'tokenizer.json'}: it doesn't fit the vocabulary, its ids go up to {last}, but "
    assert str(caught.value) == f"{said}{folder / 'config.json'}: vocab_size is 97"


def test_a_vocabulary_may_have_more_rows_than_the_tokenizer_and_no_fewer(
    folder_of: Callable[..., Path], tokenizer: Tokenizer
) -> None:
    size = tokenizer.get_vocab_size()
    for rows in (size, size + 5):
        folder = folder_of("llama", vocab_size=rows)
        tokenizer.save(str(folder / "tokenizer.json"))
        assert HuggingFaceBase(folder).tokenizer().get_vocab_size() == size
    folder = folder_of("llama", vocab_size=size - 1)
    tokenizer.save(str(folder / "tokenizer.json"))
    with pytest.raises(Refusal, match="doesn't fit the vocabulary"):
        HuggingFaceBase(folder).tokenizer()


def test_a_folder_without_a_tokenizer_is_refused_with_what_to_do(folder_of: Callable[..., Path]) -> None:
    folder = folder_of("llama")
    with pytest.raises(Refusal, match=r"tokenizer\.json: no such tokenizer file"):
        HuggingFaceBase(folder).tokenizer()
    (folder / "tokenizer.model").write_bytes(b"")
    with pytest.raises(Refusal, match=r"tokenizer\.model alone is not read; AutoTokenizer\.from_pretrained"):
        HuggingFaceBase(folder).tokenizer()


def test_the_license_is_the_card_s(folder_of: Callable[..., Path]) -> None:
    folder = folder_of("llama")
    assert HuggingFaceBase(folder).origin() == {}
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    assert HuggingFaceBase(folder).origin() == {"license": "apache-2.0"}


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", "[" * 100000])
def test_a_config_that_is_no_json_object_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(Refusal, match=r"config\.json: (cannot be read as JSON|must be a JSON object)"):
        HuggingFaceBase(tmp_path).trained_length()


def test_ids_of_the_config_reach_the_companions(folder_of: Callable[..., Path]) -> None:
    folder = folder_of("llama", eos_token_id=[5, 6])
    (folder / "generation_config.json").unlink()
    assert json.loads((folder / "config.json").read_text())["eos_token_id"] == [5, 6]
    assert HuggingFaceBase(folder).companions().ends == (5, 6)


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma2", "gemma3_text", "olmo2"])
def test_what_is_read_written_and_read_again_is_the_same(
    kind: str, tmp_path: Path, folder_of: Callable[..., Path], tokenizer: Tokenizer
) -> None:
    first = HuggingFaceBase(folder_of(kind))
    network = replace(first.geometry(), vocab_size=400).build(*first.members())
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    write(tmp_path / "hf", network, tokenizer, plain_companions(tokenizer), first.trained_length())
    again = HuggingFaceBase(tmp_path / "hf")
    found = again.weights()

    assert again.geometry() == network.geometry
    assert again.members() == first.members()
    assert again.trained_length() == first.trained_length()
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)
