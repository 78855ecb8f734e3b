"""Weights of GGUF files: every architecture computes what transformers computes from the same numbers."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from torch import Tensor

from ctxext.formats.gguf.reading import tensors
from ctxext.formats.gguf.reading.file import GgufBase
from ctxext.formats.gguf.reading.header import Header, read_header
from ctxext.refusal import Refusal

IDS = torch.randint(0, 320, (2, 48), generator=torch.Generator().manual_seed(1))


def logits(file: Path) -> Tensor:
    """Return the logits [B, S, V] of the model in `file` for IDS."""
    base = GgufBase(file)
    network = base.geometry().build(*base.members())
    network.load_state_dict(base.weights())
    with torch.no_grad():
        hidden = network.eval().hidden(IDS, torch.arange(IDS.shape[1]).expand(IDS.shape))
        scores = hidden @ network.unembedding.weight.T
    cap = network.unembedding.cap
    return cap * torch.tanh(scores / cap) if cap else scores


def theirs(model: Any) -> Tensor:
    """Return the logits of the transformers `model` for IDS."""
    with torch.no_grad():
        return model(IDS).logits


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "olmo2", "smollm3", "gemma2", "gemma3"])
def test_each_architecture_computes_what_transformers_does(
    architecture: str, tmp_path: Path, transformers_model: Callable[..., Any], gguf_of: Callable[..., Path]
) -> None:
    model = transformers_model(architecture)
    file = gguf_of(tmp_path / "m.gguf", model, architecture)

    expected = theirs(model)

    assert expected.std() > 0.3
    assert (logits(file) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_an_unembedding_of_its_own_and_one_head_of_keys_are_read(
    architecture: str, tmp_path: Path, transformers_model: Callable[..., Any], gguf_of: Callable[..., Path]
) -> None:
    model = transformers_model(architecture, tie_word_embeddings=False, num_key_value_heads=1)
    file = gguf_of(tmp_path / "m.gguf", model, architecture)

    assert GgufBase(file).geometry().tie_word_embeddings is False
    assert (logits(file) - theirs(model)).abs().max() < 1e-4


def test_biases_of_a_llama_are_turned_with_their_rows(
    tmp_path: Path, transformers_model: Callable[..., Any], gguf_of: Callable[..., Path]
) -> None:
    model = transformers_model("llama", attention_bias=True)
    for layer in model.model.layers:
        layer.self_attn.o_proj.bias.data.zero_()
    without = {f"blk.{index}.attn_output.bias": None for index in range(3)}
    file = gguf_of(tmp_path / "m.gguf", model, "llama", tensors=without)

    assert GgufBase(file).geometry().attention_bias is True
    assert (logits(file) - theirs(model)).abs().max() < 1e-4


def test_a_llama_whose_pairs_are_not_put_in_halves_speaks_nonsense(
    tmp_path: Path,
    transformers_model: Callable[..., Any],
    gguf_of: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = transformers_model("llama")
    file = gguf_of(tmp_path / "m.gguf", model, "llama")
    monkeypatch.setattr(tensors, "halved", lambda tensor, num_heads: tensor)

    assert (logits(file) - theirs(model)).abs().max() > 0.3


@pytest.mark.parametrize(
    ("kind", "error"), [("F16", 1e-3), ("BF16", 8e-3), ("Q8_0", 8e-3), ("Q5_1", 0.05), ("Q4_1", 0.1)]
)
def test_a_quantised_file_holds_the_same_weights_but_for_its_rounding(
    kind: str, error: float, tmp_path: Path, transformers_model: Callable[..., Any], gguf_of: Callable[..., Path]
) -> None:
    model = transformers_model("llama")
    weights = GgufBase(gguf_of(tmp_path / "m.gguf", model, "llama", kind)).weights()
    for name, exact in model.model.named_parameters():
        rounding = (weights[name] - exact).abs().max() / exact.abs().max()
        assert rounding == 0 if exact.dim() == 1 else error / 40 < rounding < error


def one_tensor(folder: Path, kind: GGMLQuantizationType, blocks: np.ndarray) -> Header:
    """Return the header of a file that holds `blocks` of `kind` as its tensor t."""
    writer = GGUFWriter(folder / "t.gguf", "llama")
    writer.add_tensor("t", blocks, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return read_header(folder / "t.gguf")


@pytest.mark.parametrize("kind", ["Q4_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"])
def test_other_quantisations_are_read_as_transformers_reads_them(kind: str, tmp_path: Path) -> None:
    from transformers.integrations.gguf.dequant import dequantize

    quantisation = GGMLQuantizationType[kind]
    size = GGML_QUANT_SIZES[quantisation][1]
    blocks = np.random.default_rng(0).integers(0, 60, (6, 2 * size), dtype=np.uint8)  # no scale is infinite

    found = tensors.numbers(one_tensor(tmp_path, quantisation, blocks), "t")

    expected = dequantize(torch.from_numpy(blocks).flatten(), quantisation.value).reshape(6, -1)
    assert found.dtype == np.float32
    assert np.allclose(found, expected.numpy(), rtol=1e-6, atol=0)


def test_a_quantisation_that_gguf_cannot_undo_is_refused_by_its_name(tmp_path: Path) -> None:
    header = one_tensor(tmp_path, GGMLQuantizationType.Q8_K, np.zeros((1, 292), np.uint8))
    with pytest.raises(Refusal, match=r"t\.gguf: t is stored as Q8_K, which gguf can't dequantise"):
        tensors.numbers(header, "t")


NOT_A_NUMBER = np.full((64,), np.nan, np.float32)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"blk.1.ffn_up.weight": None}, "the tensor blk.1.ffn_up.weight is missing"),
        ({"blk.9.ffn_up.weight": np.zeros((96, 64), np.float32)}, "blk.9.ffn_up.weight is in no part of the model"),
        ({"blk.0.attn_output.bias": np.zeros(64, np.float32)}, "blk.0.attn_output.bias is in no part of the model"),
        (
            {"blk.1.ffn_up.weight": np.zeros((95, 64), np.float32)},
            "blk.1.ffn_up.weight has the shape [95, 64], not [96, 64] as its keys say",
        ),
        ({"blk.2.attn_norm.weight": NOT_A_NUMBER}, "blk.2.attn_norm.weight holds a value that is not finite"),
    ],
)
def test_tensors_of_another_model_are_refused_by_name(
    changes: dict[str, Any],
    sentence: str,
    tmp_path: Path,
    transformers_model: Callable[..., Any],
    gguf_of: Callable[..., Path],
) -> None:
    file = gguf_of(tmp_path / "m.gguf", transformers_model("llama"), "llama", tensors=changes)
    with pytest.raises(Refusal, match=re.escape(sentence)):
        GgufBase(file).weights()
    if "finite" not in sentence:  # which is found in the content alone
        with pytest.raises(Refusal, match=re.escape(sentence)):
            GgufBase(file).check()
