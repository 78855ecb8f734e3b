"""The tensors of an export: in files of a bounded size, and under the names of each architecture."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tokenizers import Tokenizer

from ctxext.attention.differential import Differential
from ctxext.attention.softmax import Softmax
from ctxext.formats.bases import open_base
from ctxext.formats.companions import plain_companions
from ctxext.formats.huggingface.verification import compared
from ctxext.formats.huggingface.writing.folder import write
from ctxext.formats.huggingface.writing.tensors import tensors_of, write_tensors
from ctxext.mask.document import IntraDocument
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry, VanillaGeometry
from ctxext.position.learned_interp import LearnedInterp
from ctxext.position.sinusoidal import Sinusoidal

DecoderOf = Callable[..., Decoder]
VANILLA = VanillaGeometry(301, 32, 48, 2, 4, 1e-5)
UNTIED = DecoderGeometry(333, 48, 40, 2, 3, 3, 20, False, 1e-6)


def test_one_file_in_float32_holds_what_fits_into_it(tmp_path: Path, decoder_of: DecoderOf) -> None:
    write_tensors(tmp_path, tensors_of(decoder_of(geometry=UNTIED).half(), "llama", 0), 10**9)

    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        names = set(file.keys())
        assert {file.get_slice(name).get_dtype() for name in names} == {"F32"}
    assert {"lm_head.weight", "model.embed_tokens.weight", "model.layers.1.self_attn.q_proj.weight"} <= names


@pytest.mark.parametrize("geometry", [UNTIED, DecoderGeometry(301, 32, 48, 2, 4, 2, 8, True, 1e-5)])
def test_several_files_hold_what_does_not_and_are_read_as_one(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer, geometry: DecoderGeometry
) -> None:
    decoder = decoder_of(geometry=geometry)
    write(tmp_path / "hf", decoder, tokenizer, plain_companions(tokenizer), 256)
    (tmp_path / "hf" / "model.safetensors").unlink()
    tensors = tensors_of(decoder, "llama", 0)

    write_tensors(tmp_path / "hf", tensors, 20_000)

    files = sorted((tmp_path / "hf").glob("*.safetensors"))
    assert len(files) > 2
    assert files[0].name == f"model-00001-of-{len(files):05}.safetensors"
    large = max(4 * tensor.numel() for tensor in tensors.values())
    assert all(sum(4 * tensor.numel() for tensor in load_file(file).values()) <= max(20_000, large) for file in files)
    index = json.loads((tmp_path / "hf" / "model.safetensors.index.json").read_text())
    count = sum(parameter.numel() for parameter in decoder.parameters())
    assert index["metadata"] == {"total_size": 4 * count, "total_parameters": count}
    assert all(name in load_file(tmp_path / "hf" / file) for name, file in index["weight_map"].items())
    found = compared(tmp_path / "hf", decoder, 64)
    assert max(found.whole, found.cached) <= 1e-5
    assert all(torch.equal(again, decoder.state_dict()[name]) for name, again in base_weights(tmp_path / "hf").items())


def base_weights(folder: Path) -> dict[str, torch.Tensor]:
    return open_base(str(folder)).weights()


def test_what_differential_attention_learned_lies_beside_the_projections_of_its_layer(decoder_of: DecoderOf) -> None:
    decoder = decoder_of(attention=Differential(1e-5))
    tensors = tensors_of(decoder, "diffllama", 0)
    assert not any("learned" in name for name in tensors)
    ours = decoder.state_dict()["learned.attention.layers.1.lambda_q2"]
    assert torch.equal(tensors["model.layers.1.self_attn.lambda_q2"], ours)


def test_phi3_has_projections_of_one_piece(decoder_of: DecoderOf) -> None:
    decoder = decoder_of()
    ours, tensors = decoder.state_dict(), tensors_of(decoder, "phi3", 0)
    heads = [ours[f"layers.1.self_attn.{letter}_proj.weight"] for letter in "qkv"]
    assert torch.equal(tensors["model.layers.1.self_attn.qkv_proj.weight"], torch.cat(heads))
    halves = [ours[f"layers.0.mlp.{name}_proj.weight"] for name in ("gate", "up")]
    assert torch.equal(tensors["model.layers.0.mlp.gate_up_proj.weight"], torch.cat(halves))
    assert sum(tensor.numel() for tensor in tensors.values()) == sum(tensor.numel() for tensor in ours.values())


def test_gpt2_has_a_table_of_the_stretched_rows() -> None:
    decoder = Decoder(VANILLA, LearnedInterp(4, 7), IntraDocument(), Softmax())
    rows = decoder.parts["position"].table.detach()
    table = tensors_of(decoder, "gpt2", 7)["transformer.wpe.weight"]
    assert torch.equal(table[::2], rows)
    torch.testing.assert_close(table[1::2], (rows[1:] + rows[:-1]) / 2)


def test_the_embeddings_of_gpt2_are_scaled_for_sinusoids_and_the_unembedding_is_not() -> None:
    decoder = Decoder(VANILLA, Sinusoidal(10000.0), IntraDocument(), Softmax())
    tensors = tensors_of(decoder, "gpt2", 16)
    embeddings = decoder.embed_tokens.weight.detach()
    assert torch.equal(tensors["transformer.wte.weight"], embeddings * 32**0.5)
    assert torch.equal(tensors["lm_head.weight"], embeddings)
    assert torch.equal(tensors["transformer.wpe.weight"][0], torch.tensor([0.0, 1.0] * 16))
