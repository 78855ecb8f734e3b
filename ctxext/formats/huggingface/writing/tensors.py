"""The tensors of an export: ours under the names of each architecture, in one file or in several.

Shapes: S positions, W model width.
"""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ctxext.formats.huggingface.reading.weights import HEAD, named
from ctxext.formats.json_files import write_json
from ctxext.model.decoder import Decoder
from ctxext.places import Places
from ctxext.position.sinusoidal import Sinusoidal

Tensors = dict[str, Tensor]
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
LARGEST = 5_000_000_000
"""The bytes of one file, as in transformers before 5: a file that is cut off is fetched again as a whole."""
FLOAT32 = 4


def write_tensors(folder: Path, tensors: Tensors, largest: int) -> None:
    """Write `tensors` into `folder` in float32, in files of up to `largest` bytes where one does not hold them."""
    parts = shares(tensors, largest)
    files = [f"model-{number:05}-of-{len(parts):05}.safetensors" for number in range(1, len(parts) + 1)]
    if len(parts) == 1:
        files = [WEIGHTS]
    for file, names in zip(files, parts, strict=True):
        part = {name: tensors[name].detach().to("cpu", torch.float32).contiguous() for name in names}
        save_file(part, folder / file, metadata={"format": "pt"})
    if len(parts) > 1:
        count = sum(tensor.numel() for tensor in tensors.values())
        where = {name: file for file, names in zip(files, parts, strict=True) for name in names}
        metadata = {"total_size": FLOAT32 * count, "total_parameters": count}
        write_json(folder / INDEX, {"metadata": metadata, "weight_map": where})


def shares(tensors: Tensors, largest: int) -> list[list[str]]:
    """Return the names of `tensors` in their order, parted so that each part has up to `largest` bytes, or one name."""
    parts: list[list[str]] = [[]]
    size = 0
    for name, tensor in tensors.items():
        more = FLOAT32 * tensor.numel()
        if parts[-1] and size + more > largest:
            parts.append([])
            size = 0
        parts[-1].append(name)
        size += more
    return parts


def tensors_of(decoder: Decoder, kind: str, rows: int) -> Tensors:
    """Return the tensors of `decoder` under the names of the model type `kind`; a table of positions has `rows`."""
    if kind == "gpt2":
        return as_gpt2(decoder, rows)
    return RENAMED.get(kind, dict)({named(name): tensor for name, tensor in decoder.state_dict().items()})


def as_diffllama(tensors: Tensors) -> Tensors:
    """Return `tensors` with what the mechanism learned beside the projections of its layer."""
    learned = "model.learned.attention.layers."
    layer, heads = "model.layers.", ".self_attn."
    return {
        layer + heads.join(name.removeprefix(learned).split(".", 1)) if name.startswith(learned) else name: tensor
        for name, tensor in tensors.items()
    }


def as_phi3(tensors: Tensors) -> Tensors:
    """Return `tensors` with the projections of the heads as one, and those of the gated half as one."""
    fused: Tensors = {}
    for name, tensor in tensors.items():
        for parts, whole in FUSED.items():
            if parts[0] in name:
                fused[name.replace(parts[0], whole)] = torch.cat(
                    [tensors[name.replace(parts[0], part)] for part in parts]
                )
        if not any(part in name for parts in FUSED for part in parts):
            fused[name] = tensor
    return fused


FUSED = {("q_proj", "k_proj", "v_proj"): "qkv_proj", ("gate_proj", "up_proj"): "gate_up_proj"}
RENAMED: dict[str, Callable[[Tensors], Tensors]] = {"diffllama": as_diffllama, "phi3": as_phi3}


@torch.no_grad()
def as_gpt2(decoder: Decoder, rows: int) -> Tensors:
    """Return the tensors of a vanilla `decoder` as GPT-2's, whose linear maps are transposed; the table has `rows`."""
    ours = decoder.state_dict()
    embeddings = ours["embed_tokens.weight"]
    scaled = isinstance(decoder.position, Sinusoidal)
    tensors = {
        "transformer.wte.weight": embeddings * math.sqrt(embeddings.shape[1]) if scaled else embeddings,
        "transformer.wpe.weight": table(decoder, rows),
    }
    for index in range(decoder.geometry.num_hidden_layers):
        tensors |= gpt2_layer(ours, f"layers.{index}.", f"transformer.h.{index}.")
    last = {f"transformer.ln_f.{kind}": ours[f"norm.{kind}"] for kind in ("weight", "bias")}
    return tensors | last | ({HEAD: embeddings} if scaled else {})


def gpt2_layer(ours: Tensors, source: str, target: str) -> Tensors:
    """Return the tensors of the layer named `source` among `ours`, under GPT-2's names that begin with `target`."""
    projections = [source + f"self_attn.{letter}_proj" for letter in "qkv"]
    layer = {
        f"attn.c_attn.{kind}": torch.cat([ours[f"{name}.{kind}"] for name in projections])
        for kind in ("weight", "bias")
    }
    for ours_name, theirs in GPT2.items():
        layer |= {f"{theirs}.{kind}": ours[f"{source}{ours_name}.{kind}"] for kind in ("weight", "bias")}
    # Its linear maps hold [in, out].
    return {target + name: tensor.T if tensor.dim() == 2 else tensor for name, tensor in layer.items()}


GPT2 = {
    "input_layernorm": "ln_1",
    "self_attn.o_proj": "attn.c_proj",
    "post_attention_layernorm": "ln_2",
    "mlp.0": "mlp.c_fc",
    "mlp.2": "mlp.c_proj",
}


def table(decoder: Decoder, rows: int) -> Tensor:
    """Return what `decoder` adds to the embeddings at its first `rows` positions [S, W]."""
    weight = decoder.embed_tokens.weight
    places = Places.of(torch.arange(rows, device=weight.device)[None])
    added: Tensor = decoder.parts["position"].embed(weight.new_zeros(1, rows, weight.shape[1]), places)[0]
    return added
