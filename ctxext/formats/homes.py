"""Which compositions Hugging Face's own classes can hold, and in which words.

Tables are keyed by the exact class, so that a new member has no home until somebody has written one and compared it.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softmax import Softmax
from ctxext.mask.causal import Causal
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.maths.rotary import ntk_theta
from ctxext.model.geometry import DecoderGeometry, Geometry, LstmGeometry
from ctxext.position.alibi import Alibi
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope, RopeInterp, RopeNtk, Yarn
from ctxext.refusal import Refusal
from ctxext.seams import Attention, Mask, Position


class NotExportable(Refusal):
    """A composition that no reader's own classes can hold: the reason names the part."""


@dataclass(frozen=True)
class Home:
    """The `config` keys that make a reader build the composition, and `notes` on readers that are known to differ."""

    config: dict[str, Any]
    notes: tuple[str, ...]


def plain(position: Rope, head_dim: int) -> dict[str, Any]:
    """Return the rope parameters of the untouched encoding."""
    return {"rope_type": "default", "rope_theta": float(position.rope_theta)}


def linear(position: RopeInterp, head_dim: int) -> dict[str, Any]:
    """Return the rope parameters of position interpolation."""
    return {"rope_type": "linear", "rope_theta": float(position.rope_theta), "factor": float(position.factor)}


def another_theta(position: RopeNtk, head_dim: int) -> dict[str, Any]:
    """Return the rope parameters of NTK-aware scaling, which is the plain encoding with another theta."""
    return {"rope_type": "default", "rope_theta": ntk_theta(position.rope_theta, position.factor, head_dim)}


def yarn(position: Yarn, head_dim: int) -> dict[str, Any]:
    """Return the rope parameters of YaRN, each spelt out, since readers' defaults differ."""
    return {
        "rope_type": "yarn",
        "rope_theta": float(position.rope_theta),
        "factor": float(position.factor),
        "original_max_position_embeddings": position.original_max_position_embeddings,
        "beta_fast": float(position.beta_fast),
        "beta_slow": float(position.beta_slow),
        "attention_factor": float(position.attention_factor),
        "truncate": True,
    }


def llama(mask: Causal, layers: int) -> dict[str, Any]:
    """Return the architecture of a decoder that sees everything before it."""
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "mlp_bias": False}


def mistral(mask: SlidingWindow, layers: int) -> dict[str, Any]:
    """Return the architecture whose layers all see a window; it counts the query's own token, as ours does."""
    return {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": mask.window}


def qwen(mask: Causal, layers: int) -> dict[str, Any]:
    """Return the architecture whose queries, keys and values have biases."""
    return {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "use_sliding_window": False}


def windowed_qwen(mask: SlidingWindow, layers: int) -> dict[str, Any]:
    """Return the same architecture with a window in each of its `layers`."""
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "use_sliding_window": True,
        "sliding_window": mask.window,
        "max_window_layers": 0,
        "layer_types": ["sliding_attention"] * layers,
    }


POSITIONS: dict[type[Position], Callable[[Any, int], dict[str, Any]]] = {
    Rope: plain,
    RopeInterp: linear,
    RopeNtk: another_theta,
    Yarn: yarn,
}
Architecture = Callable[[Any, int], dict[str, Any]]
MASKS: dict[type[Mask], Architecture] = {Causal: llama, SlidingWindow: mistral}
MASKS_OF_BIASED: dict[type[Mask], Architecture] = {Causal: qwen, SlidingWindow: windowed_qwen}
REASONS: dict[type, str] = {
    Alibi: "no reader joins ALiBi to RMSNorm and SwiGLU",
    Nope: "no reader's Llama leaves out the rotation",
    Sinks: "the weights are a plain Llama's, and keeping the first keys is a policy of the runtime",
    SelfExtend: "no reader turns keys to grouped positions",
    LstmGeometry: "no reader has this network",
}


def home(geometry: Geometry, position: Position, mask: Mask, attention: Attention) -> Home:
    """Return where the composition lives; raise NotExportable, naming the part, if no reader can hold it."""
    sized = decoder_geometry(geometry)
    if type(position) not in POSITIONS:
        raise NotExportable(reason("position", position))
    if type(mask) not in MASKS:
        raise NotExportable(reason("mask", mask))
    if type(attention) is not Softmax:
        raise NotExportable(reason("attention", attention))
    rope = POSITIONS[type(position)](position, sized.head_dim)
    architecture = (MASKS_OF_BIASED if sized.attention_bias else MASKS)[type(mask)]
    return Home(architecture(mask, sized.num_hidden_layers) | sizes(sized) | both_spellings(rope), notes(rope))


def decoder_geometry(geometry: Geometry) -> DecoderGeometry:
    """Return `geometry` if it is a decoder's of the Llama family; raise NotExportable otherwise."""
    if not isinstance(geometry, DecoderGeometry):
        raise NotExportable(reason("model", geometry))
    return geometry


def reason(group: str, part: object) -> str:
    """Return why the `part` chosen in the config `group` has no home."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(part).__name__.removesuffix("Geometry")).lower()
    return f"{group}={name} has no Hugging Face reader: {REASONS.get(type(part), 'no class of theirs does the same')}"


def sizes(geometry: DecoderGeometry) -> dict[str, Any]:
    """Return the sizes of the network, and what every network of this family here has in common."""
    return {
        "vocab_size": geometry.vocab_size,
        "hidden_size": geometry.hidden_size,
        "intermediate_size": geometry.intermediate_size,
        "num_hidden_layers": geometry.num_hidden_layers,
        "num_attention_heads": geometry.num_attention_heads,
        "num_key_value_heads": geometry.num_key_value_heads,
        "head_dim": geometry.head_dim,
        "tie_word_embeddings": geometry.tie_word_embeddings,
        "rms_norm_eps": geometry.rms_norm_eps,
        "hidden_act": "silu",
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "use_cache": True,
    }


def both_spellings(rope: dict[str, Any]) -> dict[str, Any]:
    """Return the `rope` parameters in the keys of transformers 5 and of 4, which ignores the new ones in silence."""
    scaling = {key: value for key, value in rope.items() if key != "rope_theta"}
    spelt: dict[str, Any] = {
        "rope_parameters": rope,
        "rope_scaling": None if rope["rope_type"] == "default" else scaling,
        "rope_theta": rope["rope_theta"],
    }
    length = "original_max_position_embeddings"
    return spelt | ({length: rope[length]} if length in rope else {})


def notes(rope: dict[str, Any]) -> tuple[str, ...]:
    """Return what a user of another reader must know of the `rope` parameters."""
    if "attention_factor" not in rope:
        return ()
    factor, default = rope["attention_factor"], 0.1 * math.log(rope["factor"]) + 1
    sentence = f"The final attention_factor, applied once to cosine and sine, is {factor:.6g}."
    if math.isclose(factor, default, rel_tol=1e-6):
        return (sentence,)
    older = "Readers that drop the key, older vLLM among them,"
    return (sentence, f"{older} take {default:.6g} in its place and compute another model.")
