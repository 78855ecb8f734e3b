"""The tensors of a Hugging Face folder: ours under their names, and theirs checked before a byte of them is used."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ctxext.model.geometry import DecoderGeometry
from ctxext.refusal import Refusal, require

WEIGHTS = "model.safetensors"
HEAD = "lm_head.weight"
PREFIX = "model."
FLOATS = ("F16", "BF16", "F32", "F64")
LONGEST_HEADER = 100_000_000


def write_weights(folder: Path, model: nn.Module) -> None:
    """Write the tensors of `model` into `folder` in float32, under Hugging Face's names."""
    tensors = {
        name if name == HEAD else PREFIX + name: tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def read_weights(folder: Path, geometry: DecoderGeometry) -> dict[str, Tensor]:
    """Return the tensors of `folder` in float32 under our names; refuse those of another model than `geometry`."""
    file = folder / WEIGHTS
    require(file.is_file(), f"{file}: no such file; weights in several files are not read")
    check_header(file, shapes(geometry))
    tensors = {}
    try:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 (it is no mapping)
                tensors[name.removeprefix(PREFIX)] = opened.get_tensor(name).float()
    except SafetensorError as error:
        raise Refusal(f"{file}: not a whole safetensors file ({error})") from error
    for name, tensor in tensors.items():
        require(bool(torch.isfinite(tensor).all()), f"{file}: {name} holds a value that is not finite")
    return tensors


def check_header(file: Path, wanted: dict[str, tuple[int, ...]]) -> None:
    """Refuse `file` unless its names and shapes are exactly those `wanted`, each once, and all are floats."""
    header = read_header(file)
    for name in sorted(wanted.keys() ^ header.keys()):
        where = "is missing" if name in wanted else "is in no part of the model that config.json describes"
        raise Refusal(f"{file}: {name} {where}")
    for name, shape in wanted.items():
        entry = header[name] if isinstance(header[name], dict) else {}
        found = entry.get("shape")
        require(found == list(shape), f"{file}: {name} has the shape {found}, not {list(shape)} as config.json says")
        dtype = entry.get("dtype")
        require(dtype in FLOATS, f"{file}: {name} must be one of {', '.join(FLOATS)}, got {dtype}")


def read_header(file: Path) -> dict[str, Any]:
    """Return the header of the safetensors `file`; of two tensors of one name its library takes one in silence."""
    total = file.stat().st_size
    with file.open("rb") as opened:
        size = int.from_bytes(opened.read(8), "little")
        require(size <= min(total - 8, LONGEST_HEADER), f"{file}: not a safetensors file, its header has {size} bytes")
        content = opened.read(size)
    try:
        header: dict[str, Any] = json.loads(content, object_pairs_hook=lambda pairs: once(pairs, file))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise Refusal(f"{file}: not a safetensors file, its header is not JSON") from error
    require(isinstance(header, dict), f"{file}: not a safetensors file, its header is no object")
    return {name: entry for name, entry in header.items() if name != "__metadata__"}


def once(pairs: list[tuple[str, Any]], file: Path) -> dict[str, Any]:
    """Return `pairs` as a dict; refuse a name of `file` that occurs twice."""
    names = [name for name, _ in pairs]
    repeated = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    require(not repeated, f"{file}: {sorted(repeated)[:3]} occurs twice")
    return dict(pairs)


def shapes(geometry: DecoderGeometry) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a Hugging Face Llama of `geometry`."""
    width, inner = geometry.hidden_size, geometry.intermediate_size
    queries = geometry.num_attention_heads * geometry.head_dim
    keys = geometry.num_key_value_heads * geometry.head_dim
    layer: dict[str, tuple[int, ...]] = {
        "input_layernorm.weight": (width,),
        "self_attn.q_proj.weight": (queries, width),
        "self_attn.k_proj.weight": (keys, width),
        "self_attn.v_proj.weight": (keys, width),
        "self_attn.o_proj.weight": (width, queries),
        "post_attention_layernorm.weight": (width,),
        "mlp.gate_proj.weight": (inner, width),
        "mlp.up_proj.weight": (inner, width),
        "mlp.down_proj.weight": (width, inner),
    }
    if geometry.attention_bias:
        layer |= {
            "self_attn.q_proj.bias": (queries,),
            "self_attn.k_proj.bias": (keys,),
            "self_attn.v_proj.bias": (keys,),
        }
    named = {
        f"{PREFIX}layers.{index}.{name}": shape
        for index in range(geometry.num_hidden_layers)
        for name, shape in layer.items()
    }
    named |= {f"{PREFIX}embed_tokens.weight": (geometry.vocab_size, width), f"{PREFIX}norm.weight": (width,)}
    return named if geometry.tie_word_embeddings else named | {HEAD: (geometry.vocab_size, width)}
