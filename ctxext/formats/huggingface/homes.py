"""Which compositions Hugging Face's own classes can hold, and in which words.

Tables are keyed by the exact class, so that a new member has no home until somebody has written one and compared it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ctxext.attention.shifted_sparse import ShiftedSparse
from ctxext.attention.softmax import Softmax
from ctxext.formats.huggingface.ropes import POSITIONS, SKIPPING, both_spellings, is_turned, notes
from ctxext.mask.causal import Causal
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import DecoderGeometry, Geometry
from ctxext.position.dynamic import RopeDynamicNtk
from ctxext.refusal import Refusal
from ctxext.seams import Attention, Mask, Position


class NotExportable(Refusal):
    """A composition that no reader's own classes can hold: the reason names the part."""


@dataclass(frozen=True)
class Home:
    """The `config` keys that make a reader build the composition, and `notes` on readers that are known to differ."""

    config: dict[str, Any]
    notes: tuple[str, ...]


def llama(mask: Mask, layers: int) -> dict[str, Any]:
    """Return the architecture of a decoder that sees everything before it."""
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "mlp_bias": False}


def mistral(mask: SlidingWindow, layers: int) -> dict[str, Any]:
    """Return the architecture whose layers all see a window; it counts the query's own token, as ours does."""
    return {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": mask.window}


def qwen(mask: Mask, layers: int) -> dict[str, Any]:
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


def smollm(mask: Mask, layers: int) -> dict[str, Any]:
    """Return the architecture that may leave the rotation out, for each layer apart."""
    # Its own pad_token_id lies beyond our vocabulary.
    return {
        "architectures": ["SmolLM3ForCausalLM"],
        "model_type": "smollm3",
        "attention_bias": False,
        "mlp_bias": False,
        "pad_token_id": None,
        "use_sliding_window": False,
        "layer_types": ["full_attention"] * layers,
    }


def windowed_smollm(mask: SlidingWindow, layers: int) -> dict[str, Any]:
    """Return the same architecture with a window in each of its `layers`."""
    window = {"use_sliding_window": True, "sliding_window": mask.window}
    return smollm(mask, layers) | window | {"layer_types": ["sliding_attention"] * layers}


Architecture = Callable[[Any, int], dict[str, Any]]
MASKS: dict[type[Mask], Architecture] = {Causal: llama, IntraDocument: llama, SlidingWindow: mistral}
MASKS_OF_BIASED: dict[type[Mask], Architecture] = {Causal: qwen, IntraDocument: qwen, SlidingWindow: windowed_qwen}
MASKS_OF_SKIPPING: dict[type[Mask], Architecture] = {
    Causal: smollm,
    IntraDocument: smollm,
    SlidingWindow: windowed_smollm,
}
ATTENTIONS: tuple[type[Attention], ...] = (Softmax, ShiftedSparse)
"""What is plain softmax attention whenever a model is read."""

OPTIONS = {"Llama4Temperature": "temperature_llama4", "Ministral3Temperature": "temperature_ministral3"}
"""Options that are not named as their class."""
REASONS = {
    "alibi": "no reader joins ALiBi to RMSNorm and SwiGLU",
    "t5_bias": "no reader joins a bias by distance to RMSNorm and SwiGLU",
    "kerple": "no reader joins a bias by distance to RMSNorm and SwiGLU",
    "fire": "no reader joins a bias by distance to RMSNorm and SwiGLU",
    "cope": "no reader counts positions by content",
    "sinusoidal": "no reader's Llama adds positions to its embeddings",
    "learned": "no reader's Llama adds positions to its embeddings",
    "learned_interp": "no reader's Llama adds positions to its embeddings",
    "dynamic_yarn": "no reader's YaRN follows the text's length",
    "partial_rope": "a reader's Llama turns whole heads",
    "clipped_rope": "no reader tapers frequencies to 0",
    "grid_rope": "no reader turns pairs by the digits of a position",
    "gemma3_rope": "no home is written for it in Gemma 3, whose norms and scales are others",
    "xpos": "no reader's Llama scales heads by their positions",
    "sinks": "the weights are a plain Llama's, and keeping the first keys is a policy of the runtime",
    "lambda_mask": "the weights are a plain Llama's, and a ceiling on distances is a policy of the runtime",
    "chunked": "only Llama 4 has chunks, and its layers are mixtures of experts",
    "dilated": "no reader has windows by head",
    "global_local": "only encoders have it, which look both ways",
    "layered": "no home is written for windows by layer",
    "adaptive_window": "no reader's window grows with the text",
    "adaptive_span": "no reader has a soft mask",
    "log_n": "no reader scales logits by the count of visible keys",
    "ssmax": "no reader scales logits by the count of visible keys",
    "temperature": "no reader's Llama has a temperature but YaRN's, which goes with its frequencies",
    "temperature_llama4": "only Llama 4 has it, and its layers are mixtures of experts",
    "temperature_ministral3": "no home is written for it in Ministral 3",
    "self_extend": "no reader turns keys to grouped positions",
    "rerope": "no reader clips distances",
    "dual_chunk": "no reader's Llama turns keys by chunks",
    "linear": "a reader's Llama has a softmax",
    "retention": "a reader's Llama has a softmax",
    "infini": "a reader's Llama has no memory",
    "block_topk": "a reader's Llama chooses no blocks",
    "differential": "no home is written for it in DiffLlama",
    "gated": "a reader's Llama has no gate on what heads gather",
    "forgetting": "a reader's Llama has no forget gate",
    "recurrence": "a reader's Llama keeps no segments",
    "lstm": "no reader has this network",
}


def home(geometry: Geometry, position: Position, mask: Mask, attention: Attention) -> Home:
    """Return where the composition lives; raise NotExportable, naming the part, if no reader can hold it."""
    sized = decoder_geometry(geometry)
    if type(position) not in POSITIONS:
        raise NotExportable(reason("position", position))
    if type(mask) not in MASKS:
        raise NotExportable(reason("mask", mask))
    if type(attention) not in ATTENTIONS:
        raise NotExportable(reason("attention", attention))
    rope = POSITIONS[type(position)](position, sized.head_dim)
    body = architectures(sized, position)[type(mask)](mask, sized.num_hidden_layers) | own_keys(sized, position)
    return Home(body | sizes(sized) | both_spellings(rope), notes(rope))


def architectures(geometry: DecoderGeometry, position: Position) -> dict[type[Mask], Architecture]:
    """Return by mask the architectures that hold the body of `geometry` and the layers of `position`."""
    if type(position) not in SKIPPING:
        return MASKS_OF_BIASED if geometry.attention_bias else MASKS
    if geometry.attention_bias:
        sentence = f"{chosen('position', position)} with model.attention_bias=true has no Hugging Face reader"
        raise NotExportable(f"{sentence}: SmolLM3, which alone leaves rotations out, has other biases or none")
    return MASKS_OF_SKIPPING


def own_keys(geometry: DecoderGeometry, position: Position) -> dict[str, Any]:
    """Return the keys beside the rope parameters in which a configuration says what `position` does."""
    if type(position) in SKIPPING:
        layers = geometry.num_hidden_layers
        return {"no_rope_layers": [is_turned(position.layer(index, layers)) for index in range(layers)]}
    if isinstance(position, RopeDynamicNtk):
        return {"max_position_embeddings": position.original_max_position_embeddings}
    return {}


def decoder_geometry(geometry: Geometry) -> DecoderGeometry:
    """Return `geometry` if it is a decoder's of the Llama family; raise NotExportable otherwise."""
    if not isinstance(geometry, DecoderGeometry):
        raise NotExportable(reason("model", geometry))
    return geometry


def reason(group: str, part: object) -> str:
    """Return why the `part` chosen in the config `group` has no home."""
    why = REASONS.get(option(part), "no class of theirs does the same")
    return f"{chosen(group, part)} has no Hugging Face reader: {why}"


def chosen(group: str, part: object) -> str:
    """Return the `part` as one would choose it in the config `group`: `position=alibi`."""
    return f"{group}={option(part)}"


def option(part: object) -> str:
    """Return the option that stands for the class of `part`."""
    name = type(part).__name__
    spelt = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.removesuffix("Geometry")).lower()
    return OPTIONS.get(name, spelt)


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
