"""The tensors of a GGUF file: dequantised, with rotary pairs in halves, under our names.

Shapes: H heads, D head width, W model width.
"""

from typing import Any

import numpy as np
import torch
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize
from numpy.typing import NDArray
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.formats.gguf.names import ROPE_FREQS, ROPE_LONG, ROPE_SHORT, Architecture, stored_name
from ctxext.formats.gguf.reading.header import Header
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.nope import Nope
from ctxext.refusal import Refusal, require

ROTARY = (ROPE_FREQS, ROPE_SHORT, ROPE_LONG)
"""Tensors that are no weights: the position encoding reads them."""


def read_weights(header: Header, architecture: Architecture, geometry: DecoderGeometry) -> dict[str, Tensor]:
    """Return the tensors of `header` in float32 under our names; refuse those of another model than `geometry`."""
    tensors = {}
    for name, stored in check_tensors(header, architecture, geometry).items():
        tensor = torch.from_numpy(numbers(header, stored))
        require(bool(torch.isfinite(tensor).all()), f"{header.file}: {stored} holds a value that is not finite")
        if architecture.norm_offset and name.endswith("norm.weight"):
            tensor = tensor - architecture.norm_offset
        if architecture.is_interleaved and ".q_proj." in name:
            tensor = halved(tensor, geometry.num_attention_heads)
        if architecture.is_interleaved and ".k_proj." in name:
            tensor = halved(tensor, geometry.num_key_value_heads)
        tensors[name] = tensor
    return tensors


def check_tensors(header: Header, architecture: Architecture, geometry: DecoderGeometry) -> dict[str, str]:
    """Return what `header` calls each of our tensors; refuse those of another model, and what can't be dequantised."""
    wanted = {name: (stored_name(name, architecture), shape) for name, shape in shapes(geometry).items()}
    check_names(header, dict(wanted.values()))
    for stored, _ in wanted.values():
        check_kind(header, stored)
    return {name: stored for name, (stored, _) in wanted.items()}


def shapes(geometry: DecoderGeometry) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a network of `geometry`, under our names."""
    with torch.device("meta"):  # neither memory nor random numbers are taken
        network = geometry.build(Nope(), IntraDocument(), Softmax())
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def check_names(header: Header, wanted: dict[str, tuple[int, ...]]) -> None:
    """Refuse `header` unless its tensors, but for the rotary ones, have exactly the names and shapes `wanted`."""
    found = header.tensors.keys() - set(ROTARY)
    for name in sorted(wanted.keys() ^ found):
        where = "is missing" if name in wanted else "is in no part of the model that its keys describe"
        raise Refusal(f"{header.file}: the tensor {name} {where}")
    for name, shape in wanted.items():
        has = header.tensors[name].shape
        require(has == shape, f"{header.file}: {name} has the shape {list(has)}, not {list(shape)} as its keys say")


def check_kind(header: Header, name: str) -> None:
    """Refuse, by its name, a tensor of `header` in a quantisation that gguf can't undo."""
    kind = header.tensors[name].kind
    _, block_bytes = GGML_QUANT_SIZES[kind]
    try:
        with np.errstate(all="ignore"):
            dequantize(np.zeros((1, block_bytes), np.uint8), kind)
    except NotImplementedError as error:
        raise Refusal(f"{header.file}: {name} is stored as {kind.name}, which gguf can't dequantise") from error


def numbers(header: Header, name: str) -> NDArray[np.float32]:
    """Return the tensor `name` of `header`, dequantised; refuse, by its name, a quantisation that gguf can't undo."""
    check_kind(header, name)
    stored = header.tensors[name]
    content: NDArray[Any] = np.fromfile(header.file, np.uint8, stored.stop - stored.start, offset=stored.start)
    require(content.size == stored.stop - stored.start, f"{header.file}: the file ends within {name}")
    rows = content.reshape(*stored.shape[:-1], -1)
    with np.errstate(all="ignore"):  # what is not finite is refused by its name
        dequantised = dequantize(rows, stored.kind)
    return np.ascontiguousarray(dequantised, np.float32)


def halved(tensor: Tensor, num_heads: int) -> Tensor:
    """Return the rows [H D, W] of `num_heads` heads, or their biases [H D], stored pair by pair, in halves."""
    pairs = tensor.reshape(num_heads, -1, 2, *tensor.shape[1:])
    return pairs.transpose(1, 2).reshape(tensor.shape)
