"""Tiny decoders whose weights are large enough that positions and masks show in their logits."""

from collections.abc import Callable

import pytest
import torch
from tokenizers import Tokenizer

from ctxext.attention.softmax import Softmax
from ctxext.data.tokenizer import train_tokenizer
from ctxext.mask.document import IntraDocument
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.seams import Attention, Mask, Position

ROPE, CAUSAL, SOFTMAX = Rope(10000.0), IntraDocument(), Softmax()
TIED = DecoderGeometry(301, 32, 48, 2, 4, 2, 8, True, 1e-5)
BIASED = DecoderGeometry(301, 32, 48, 2, 4, 2, 8, True, 1e-5, attention_bias=True)


def make_decoder(
    position: Position = ROPE,
    mask: Mask = CAUSAL,
    attention: Attention = SOFTMAX,
    geometry: DecoderGeometry = TIED,
) -> Decoder:
    """Return a decoder with random weights, norms included."""
    decoder = Decoder(geometry, position, mask, attention)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in decoder.named_parameters():
            noise = torch.randn(parameter.shape, generator=draw)
            is_norm = "norm" in name
            parameter.copy_(1 + 0.2 * noise if is_norm else 0.5 * noise if name.endswith("bias") else 0.15 * noise)
    return decoder


@pytest.fixture(scope="session")
def decoder_of() -> Callable[..., Decoder]:
    """The maker of tiny decoders."""
    return make_decoder


@pytest.fixture(scope="session")
def biased() -> DecoderGeometry:
    """A geometry whose queries, keys and values have biases."""
    return BIASED


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A small byte-level tokenizer."""
    return train_tokenizer(["the code of the red house is 123. " * 20], 300)
