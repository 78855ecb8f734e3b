"""A small network in which every method acts from token 16 on, and the names of the properties that fail on it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.proving.specimen import Specimen, specimen
from ctxext.proving.suite import prove
from ctxext.seams import Attention, Mask, Position

TRAINED, TARGET = 16, 64


def small(position: Position, mask: Mask, attention: Attention) -> Any:
    """Return a network of drawn weights, large enough that every method shows."""
    torch.manual_seed(0)
    geometry = DecoderGeometry(
        vocab_size=67,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
    )
    network = geometry.build(position, mask, attention)
    for name, part in network.named_parameters():
        if not name.startswith("learned."):
            part.data.normal_(mean=float(part.dim() < 2), std=0.3)
    return network


@pytest.fixture
def examined() -> Callable[..., Specimen]:
    """Return a function from members of the seams to what shows their properties."""

    def examine(
        position: Position = Rope(10000.0),  # noqa: B008 - frozen
        mask: Mask = IntraDocument(),  # noqa: B008
        attention: Attention = Softmax(),  # noqa: B008
    ) -> Specimen:
        base = small(position.base(), mask.base(), attention.base())
        return specimen(base, (position, mask, attention), TRAINED, TARGET)

    return examine


@pytest.fixture
def failing(examined: Callable[..., Specimen]) -> Callable[..., set[str]]:
    """Return a function from members of the seams to the names of all properties that don't hold."""
    return lambda **members: {found.name for found in prove(examined(**members)) if found.holds is False}
