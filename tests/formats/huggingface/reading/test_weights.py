"""Tensors of Hugging Face folders: under our names, bit for bit, or refused by name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ctxext.formats.huggingface.reading.folder import HuggingFaceBase
from ctxext.formats.huggingface.reading.weights import read_weights, shapes
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry
from ctxext.refusal import Refusal

UNTIED = DecoderGeometry(31, 16, 20, 1, 2, 1, 6, False, 1e-5)
TIED = replace(UNTIED, tie_word_embeddings=True)
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


def put(folder: Path, decoder: Decoder) -> Path:
    """Write the tensors of `decoder` under Hugging Face's names."""
    named = {name if name == HEAD else f"model.{name}": tensor for name, tensor in decoder.state_dict().items()}
    save_file(named, folder / "model.safetensors")
    return folder / "model.safetensors"


@pytest.fixture
def file(tmp_path: Path, decoder_of: Callable[..., Decoder]) -> Path:
    return put(tmp_path, decoder_of(geometry=UNTIED))


def rewrite(file: Path, change: Callable[[dict[str, Tensor]], Any]) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


def test_weights_come_back_bit_for_bit_and_fit_the_decoder(file: Path, decoder_of: Callable[..., Decoder]) -> None:
    ours, tensors = decoder_of(geometry=UNTIED).state_dict(), read_weights(file.parent, UNTIED)
    assert tensors.keys() == ours.keys()
    assert all(torch.equal(tensors[name], ours[name]) for name in ours)


def test_weights_outlive_their_file(file: Path) -> None:
    tensors = read_weights(file.parent, UNTIED)
    wanted = tensors["norm.weight"].clone()
    file.write_bytes(bytes(file.stat().st_size))
    assert torch.equal(tensors["norm.weight"], wanted)


def test_biases_are_wanted_where_the_geometry_has_them_and_nowhere_else(
    tmp_path: Path, decoder_of: Callable[..., Decoder]
) -> None:
    biased = replace(UNTIED, attention_bias=True)
    file = put(tmp_path, decoder_of(geometry=biased))
    with pytest.raises(Refusal, match=r"k_proj\.bias is in no part of the model"):
        read_weights(tmp_path, UNTIED)
    rewrite(file, lambda tensors: tensors.pop("model.layers.0.self_attn.v_proj.bias"))
    with pytest.raises(Refusal, match=r"v_proj\.bias is missing"):
        read_weights(tmp_path, biased)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "smollm3", "gemma2", "gemma3_text", "olmo2"])
def test_the_tensors_of_each_body_are_those_of_transformers(kind: str, folder_of: Callable[..., Path]) -> None:
    folder = folder_of(kind)
    theirs = {name: tuple(tensor.shape) for name, tensor in load_file(folder / "model.safetensors").items()}
    assert shapes(HuggingFaceBase(folder).geometry()) == theirs


def test_shapes_draw_no_random_numbers() -> None:
    torch.manual_seed(3)
    shapes(replace(UNTIED, attention_bias=True))
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_without_loss(dtype: torch.dtype, file: Path) -> None:
    halves = {name: tensor.to(dtype) for name, tensor in load_file(file).items()}
    save_file(halves, file)
    tensors = read_weights(file.parent, UNTIED)
    assert all(tensor.dtype == torch.float32 for tensor in tensors.values())
    assert torch.equal(tensors["norm.weight"], halves["model.norm.weight"].float())


def test_tied_embeddings_may_stand_there_twice_if_they_are_the_same(
    tmp_path: Path, decoder_of: Callable[..., Decoder]
) -> None:
    file = put(tmp_path, decoder_of(geometry=TIED))
    alone = read_weights(tmp_path, TIED)
    rewrite(file, lambda tensors: tensors.update({HEAD: tensors[EMBEDDING].clone()}))
    assert read_weights(tmp_path, TIED).keys() == alone.keys()
    rewrite(file, lambda tensors: tensors[HEAD].add_(1))
    with pytest.raises(Refusal, match=rf"{HEAD} differs from {EMBEDDING}, but tie_word_embeddings is true"):
        read_weights(tmp_path, TIED)
    rewrite(file, lambda tensors: tensors.update({HEAD: torch.ones(3, 16)}))
    with pytest.raises(Refusal, match=rf"{HEAD} has the shape \[3, 16\], not \[31, 16\]"):
        read_weights(tmp_path, TIED)


def test_frequencies_that_old_files_hold_are_passed_over(file: Path) -> None:
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    rewrite(file, lambda tensors: tensors.update({name: torch.ones(3)}))
    assert read_weights(file.parent, UNTIED).keys().isdisjoint({name, name.removeprefix("model.")})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda tensors: tensors.pop("lm_head.weight"), r"lm_head\.weight is missing"),
        (lambda tensors: tensors.update({"model.bias": torch.ones(1)}), r"model\.bias is in no part"),
        (lambda tensors: tensors.update({"norm.weight": torch.ones(16)}), r"norm\.weight is in no part"),
        (lambda tensors: tensors.update({"model.norm.weight": torch.ones(17)}), r"shape \[17\], not \[16\]"),
        (lambda tensors: tensors.update({"model.norm.weight": torch.ones(16, dtype=torch.int64)}), r"got I64"),
        (lambda tensors: tensors.update({"model.norm.weight": torch.ones(16, dtype=torch.float64)}), r"got F64"),
        (lambda tensors: tensors["model.norm.weight"].fill_(float("inf")), r"norm\.weight .* not finite"),
        (lambda tensors: tensors["model.norm.weight"].fill_(float("nan")), r"norm\.weight .* not finite"),
    ],
)
def test_tensors_of_another_model_are_refused_by_name(file: Path, change: Any, sentence: str) -> None:
    rewrite(file, change)
    with pytest.raises(Refusal, match=rf"model\.safetensors: .*{sentence}"):
        read_weights(file.parent, UNTIED)


@pytest.mark.parametrize("keep", [0, 4, 8, 200, -1])
def test_a_truncated_file_is_refused(file: Path, keep: int) -> None:
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(Refusal, match=r"not a (whole )?safetensors file"):
        read_weights(file.parent, UNTIED)
