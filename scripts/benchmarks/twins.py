"""Our decoder and transformers' Llama with the same weights.

Shapes: B rows, S tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.scale import Shape
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.data.rows import Batch
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.seams import Mask

THETA = 10000.0


def ours(geometry: DecoderGeometry, mask: Mask | None = None) -> Any:
    """Return our decoder with `mask`, or one that sees all of its past; the same weights each time."""
    torch.manual_seed(0)
    return geometry.build(Rope(THETA), mask or IntraDocument(), Softmax())


def sizes(geometry: DecoderGeometry, length: int) -> dict[str, Any]:
    """Return what transformers calls the sizes of `geometry` for texts of `length` tokens."""
    named = {**vars(geometry), "max_position_embeddings": length, "attn_implementation": "sdpa", "use_cache": False}
    return named | {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}


def llama(network: Any, length: int) -> Any:
    """Return transformers' Llama with the weights of our `network`."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return with_weights(LlamaForCausalLM(LlamaConfig(**sizes(network.geometry, length))), network)


def windowed(network: Any, length: int, window: int) -> Any:
    """Return transformers' Mistral, which sees the last `window` tokens, with the weights of our `network`."""
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(**sizes(network.geometry, length), sliding_window=window)
    return with_weights(MistralForCausalLM(config), network)


def with_weights(other: Any, network: Any) -> Any:
    """Return `other`, whose names differ by a prefix, with the weights of `network`."""
    prefixes = {"lm_head.weight": ""}
    renamed = {prefixes.get(name, "model.") + name: tensor for name, tensor in network.state_dict().items()}
    left = other.load_state_dict(renamed, strict=False)
    assert set(left.missing_keys) <= {*prefixes}, f"there are no weights for {left.missing_keys}"  # tied below
    assert not left.unexpected_keys, f"there is no place for {left.unexpected_keys}"
    other.tie_weights()
    return other


def tokens(vocabulary: int, rows: int, length: int) -> Tensor:
    """Return random tokens [B, S], the same each time."""
    return torch.randint(vocabulary, (rows, length), generator=torch.Generator().manual_seed(0))


def batch(shape: Shape) -> Batch:
    """Return the rows of `shape`; the last token of each predicts nothing, as in transformers' own loss."""
    read = tokens(shape.geometry.vocab_size, shape.rows, shape.length)
    weights = torch.ones(read.shape)
    weights[:, -1] = 0
    positions = torch.arange(shape.length).expand(read.shape)
    return Batch(read, read.roll(-1, 1), weights, positions, None, [str(row) for row in range(shape.rows)])
