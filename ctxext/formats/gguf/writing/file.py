"""A GGUF file that llama.cpp loads: keys, tensors as it stores them, and the tokenizer.

Shapes: H heads, D head width, W hidden size.
"""

from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
from gguf.quants import quantize
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ctxext.formats.companions import Companions
from ctxext.formats.gguf.names import ARCHITECTURES, OUTSIDE, Architecture, stored_name
from ctxext.formats.gguf.writing.homes import GgufHome, home
from ctxext.formats.gguf.writing.vocabulary import chat_template, notes, vocabulary
from ctxext.formats.huggingface.writing.reasons import NotExportable
from ctxext.model.decoder import Decoder

FILE_TYPES = {
    "F32": LlamaFileType.ALL_F32,
    "F16": LlamaFileType.MOSTLY_F16,
    "Q8_0": LlamaFileType.MOSTLY_Q8_0,
}
HALF = 65504.0
BLOCK = 32
"""The numbers of a row that Q8_0 scales together."""
LARGEST = {GGMLQuantizationType.F16: HALF, GGMLQuantizationType.Q8_0: 127 * HALF}
"""The largest number of a type."""
UNTIED = ("olmo2",)
"""Architectures that llama.cpp reads the output's weights of, although they are the embedding's."""
Array = NDArray[np.float32]


def write(
    file: Path, decoder: Decoder, tokenizer: Tokenizer, companions: Companions, context_length: int, precision: str
) -> tuple[str, ...]:
    """Write `decoder`, `tokenizer` and its `companions` as `file`, for texts of `context_length` tokens.

    Return what a user must know. Matrices are stored in `precision`, one of `FILE_TYPES`, and everything else in F32.
    Raises NotExportable, before anything is written, if llama.cpp cannot hold the composition.
    """
    place = home(decoder.geometry, decoder.position, decoder.mask, decoder.attention)
    words = vocabulary(tokenizer, companions, decoder.geometry.vocab_size)
    tensors = stored_tensors(decoder, place)
    kinds = {name: kind_of(tensor, precision) for name, tensor in tensors.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(file, place.architecture)
    try:
        keys = {f"{place.architecture}.{key}": value for key, value in place.keys.items()}
        keys[f"{place.architecture}.context_length"] = context_length
        add_keys(writer, keys | {f"tokenizer.ggml.{key}": value for key, value in words.items()})
        add_general_keys(writer, precision, chat_template(companions))
        for name, tensor in tensors.items():
            writer.add_tensor(name, packed(tensor, name, kinds[name]), raw_dtype=kinds[name])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    return (*place.notes, *notes(tokenizer), *unquantised(kinds, precision))


def add_general_keys(writer: GGUFWriter, precision: str, template: str) -> None:
    """Write what the file is, and the chat `template` if there is one."""
    writer.add_type("model")
    writer.add_file_type(FILE_TYPES[precision])
    writer.add_quantization_version(2)
    if template:
        writer.add_chat_template(template)


def add_keys(writer: GGUFWriter, keys: dict[str, Any]) -> None:
    """Write `keys` with the types that llama.cpp expects of their values."""
    for key, value in keys.items():
        if isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_string(key, value)


def stored_tensors(decoder: Decoder, place: GgufHome) -> dict[str, Array]:
    """Return the tensors of `decoder`, and what divides its frequencies, in float32 as the architecture stores them."""
    architecture, heads = ARCHITECTURES[place.architecture], decoder.geometry.sizes
    tensors = {}
    for name, parameter in decoder.state_dict().items():
        tensor: Array = parameter.detach().cpu().float().numpy()
        count = heads.num_attention_heads if ".q_proj." in name else heads.num_key_value_heads
        tensors[stored_name(name, architecture)] = stored(tensor, name, count, architecture)
    if place.architecture in UNTIED and decoder.geometry.tie_word_embeddings:
        tensors[f"{OUTSIDE['lm_head']}.weight"] = tensors[f"{OUTSIDE['embed_tokens']}.weight"]
    return tensors | {name: np.array(divisors, np.float32) for name, divisors in place.divisors.items()}


def stored(tensor: Array, name: str, num_heads: int, architecture: Architecture) -> Array:
    """Return our `tensor` of this `name` as the `architecture` stores it; queries or keys have `num_heads`."""
    if architecture.is_interleaved and (".q_proj." in name or ".k_proj." in name):
        return interleaved(tensor, num_heads)
    return tensor + np.float32(architecture.norm_offset) if "norm" in name else tensor


def interleaved(tensor: Array, num_heads: int) -> Array:
    """Return `tensor` [H x D, ...] with the pairs (i, i + D/2) of each head as neighbours (2i, 2i + 1)."""
    halves = tensor.reshape(num_heads, 2, -1, *tensor.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(tensor.shape))


def kind_of(tensor: Array, precision: str) -> GGMLQuantizationType:
    """Return the type in which `tensor` is stored."""
    if tensor.ndim < 2:
        return GGMLQuantizationType.F32
    fits = precision != "Q8_0" or tensor.shape[-1] % BLOCK == 0
    return GGMLQuantizationType[precision if fits else "F16"]


def packed(tensor: Array, name: str, kind: GGMLQuantizationType) -> NDArray[Any]:
    """Return `tensor` as it is stored in `kind`; raise NotExportable, by its `name`, for what `kind` cannot hold."""
    largest = float(np.abs(tensor).max())
    if not largest <= LARGEST.get(kind, np.finfo(np.float32).max):
        raise NotExportable(f"{name} holds {largest:.3g}, which {kind.name} cannot hold")
    stored: NDArray[Any] = quantize(tensor, kind)
    return stored


def unquantised(kinds: dict[str, GGMLQuantizationType], precision: str) -> tuple[str, ...]:
    """Return which matrices could not be stored in `precision`, if any."""
    odd = sorted(name for name, kind in kinds.items() if precision == "Q8_0" and kind == GGMLQuantizationType.F16)
    if not odd:
        return ()
    return (f"{len(odd)} matrices are F16, {odd[0]} among them: {BLOCK} doesn't divide their rows, as Q8_0 needs.",)
