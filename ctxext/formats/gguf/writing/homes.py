"""Which compositions llama.cpp's own architectures can hold, and in which keys of a GGUF file.

Seen with the llama.cpp of llama-cpp-python 0.3.36 (`scripts/llama_cpp_check.py`).
"""

import math
from dataclasses import dataclass
from typing import Any

from ctxext.attention.temperature import Temperature
from ctxext.formats.gguf.writing.bodies import BODIES, Composition
from ctxext.formats.gguf.writing.reasons import refused
from ctxext.formats.gguf.writing.ropes import POSITIONS, Turning
from ctxext.model.geometry import DecoderGeometry, Geometry
from ctxext.seams import Attention, Mask, Position


@dataclass(frozen=True)
class GgufHome:
    """Where a composition lives: the `architecture`, the `keys` below its name, `divisors` of frequencies, `notes`."""

    architecture: str
    keys: dict[str, Any]
    divisors: dict[str, tuple[float, ...]]
    notes: tuple[str, ...]


def home(geometry: Geometry, position: Position, mask: Mask, attention: Attention) -> GgufHome:
    """Return where the composition lives; raise NotExportable, naming the part, if llama.cpp cannot hold it."""
    check_body(geometry)
    assert isinstance(geometry, DecoderGeometry)
    if type(position) not in POSITIONS:
        raise refused("position", position)
    turning = POSITIONS[type(position)](position, geometry.head_dim)
    factor = attention_factor(turning, attention)
    held = Composition(position, mask, attention, divides=bool(turning.divisors), sharpens=bool(factor))
    body = BODIES[type(geometry)](geometry, held)
    rope = {"dimension_count": geometry.head_dim, "freq_base": float(turning.theta)} | turning.keys | factor
    keys = sizes(geometry) | {f"rope.{key}": value for key, value in rope.items()} | body.keys
    return GgufHome(body.architecture, keys, turning.divisors, turning.notes)


def check_body(geometry: Geometry) -> None:
    """Raise NotExportable if llama.cpp has no architecture for a network of `geometry`."""
    if type(geometry) not in BODIES:
        raise refused("model", geometry)


def attention_factor(turning: Turning, attention: Attention) -> dict[str, float]:
    """Return the key of what queries and keys are multiplied by, if anything; a constant temperature is that too."""
    temperature = attention.attention_factor if isinstance(attention, Temperature) else 1.0
    factor = turning.attention_factor * temperature
    return {} if math.isclose(factor, 1, rel_tol=1e-6) else {"scaling.attn_factor": factor}


def sizes(geometry: DecoderGeometry) -> dict[str, Any]:
    """Return the keys of the network's sizes."""
    return {
        "vocab_size": geometry.vocab_size,
        "embedding_length": geometry.hidden_size,
        "feed_forward_length": geometry.intermediate_size,
        "block_count": geometry.num_hidden_layers,
        "attention.head_count": geometry.num_attention_heads,
        "attention.head_count_kv": geometry.num_key_value_heads,
        "attention.key_length": geometry.head_dim,
        "attention.value_length": geometry.head_dim,
        "attention.layer_norm_rms_epsilon": float(geometry.rms_norm_eps),
    }
