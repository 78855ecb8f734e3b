"""Tensors of Hugging Face folders, good and hostile."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ctxext.formats.huggingface.weights import read_weights, write_weights
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry
from ctxext.refusal import Refusal

UNTIED = DecoderGeometry(31, 16, 20, 1, 2, 1, 6, False, 1e-5)


@pytest.fixture
def file(tmp_path: Path, decoder_of: Callable[..., Decoder]) -> Path:
    write_weights(tmp_path, decoder_of(geometry=UNTIED))
    return tmp_path / "model.safetensors"


def rewrite(file: Path, change: Callable[[dict[str, Tensor]], Any]) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


def test_weights_come_back_bit_for_bit_and_fit_the_decoder(file: Path, decoder_of: Callable[..., Decoder]) -> None:
    ours, tensors = decoder_of(geometry=UNTIED).state_dict(), read_weights(file.parent, UNTIED)
    assert tensors.keys() == ours.keys()
    assert all(torch.equal(tensors[name], ours[name]) for name in ours)


def test_biases_are_wanted_where_the_geometry_has_them_and_nowhere_else(
    tmp_path: Path, decoder_of: Callable[..., Decoder]
) -> None:
    biased = replace(UNTIED, attention_bias=True)
    write_weights(tmp_path, decoder_of(geometry=biased))
    with pytest.raises(Refusal, match=r"k_proj\.bias is in no part of the model"):
        read_weights(tmp_path, UNTIED)
    rewrite(tmp_path / "model.safetensors", lambda tensors: tensors.pop("model.layers.0.self_attn.v_proj.bias"))
    with pytest.raises(Refusal, match=r"v_proj\.bias is missing"):
        read_weights(tmp_path, biased)


def test_half_precision_is_read_without_loss(file: Path) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        halves = {name: tensor.to(dtype) for name, tensor in load_file(file).items()}
        save_file(halves, file)
        tensors = read_weights(file.parent, UNTIED)
        assert all(tensor.dtype == torch.float32 for tensor in tensors.values())
        assert torch.equal(tensors["norm.weight"], halves["model.norm.weight"].float())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda tensors: tensors.pop("lm_head.weight"), r"lm_head\.weight is missing"),
        (lambda tensors: tensors.update({"model.bias": torch.ones(1)}), r"model\.bias is in no part"),
        (lambda tensors: tensors.update({"norm.weight": torch.ones(16)}), r"norm\.weight is in no part"),
        (lambda tensors: tensors.update({"model.norm.weight": torch.ones(17)}), r"shape \[17\], not \[16\]"),
        (lambda tensors: tensors.update({"model.norm.weight": torch.ones(16, dtype=torch.int64)}), r"got I64"),
        (lambda tensors: tensors["model.norm.weight"].fill_(float("inf")), r"norm\.weight .* not finite"),
    ],
)
def test_tensors_of_another_model_are_refused_by_name(file: Path, change: Any, sentence: str) -> None:
    rewrite(file, change)
    with pytest.raises(Refusal, match=rf"model\.safetensors: .*{sentence}"):
        read_weights(file.parent, UNTIED)


def test_two_tensors_of_one_name_are_refused(file: Path) -> None:
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + size].rstrip()
    entry = json.dumps({"dtype": "F32", "shape": [16], "data_offsets": [0, 64]})
    header = header[:-1] + f',"model.norm.weight":{entry}}}'.encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + size :])

    with pytest.raises(Refusal, match=r"model\.norm\.weight.* occurs twice"):
        read_weights(file.parent, UNTIED)


@pytest.mark.parametrize("keep", [0, 4, 8, 200, -1])
def test_a_truncated_file_is_refused(file: Path, keep: int) -> None:
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(Refusal, match=r"not a (whole )?safetensors file"):
        read_weights(file.parent, UNTIED)


@pytest.mark.parametrize("size", [2**63, 101_000_000, 10_000])
def test_a_header_beyond_the_file_is_refused_before_it_is_read(tmp_path: Path, size: int) -> None:
    (tmp_path / "model.safetensors").write_bytes(size.to_bytes(8, "little") + b"{}")
    with pytest.raises(Refusal, match=f"its header has {size} bytes"):
        read_weights(tmp_path, UNTIED)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"model\.safetensors: no such file"):
        read_weights(tmp_path, UNTIED)
