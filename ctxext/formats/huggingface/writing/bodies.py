"""The classes of Hugging Face that hold our bodies: which compositions each takes, and in which words."""

from collections.abc import Callable
from typing import Any

from ctxext.attention.differential import Differential
from ctxext.attention.shifted_sparse import ShiftedSparse
from ctxext.attention.softcap import SoftCap
from ctxext.attention.softmax import Softmax
from ctxext.attention.temperature import Ministral3Temperature
from ctxext.formats.huggingface.writing.composition import (
    Composition,
    geometry_of,
    require_attention,
    require_even,
    require_no_window,
    require_turned,
    require_unbiased,
)
from ctxext.formats.huggingface.writing.reasons import chosen, together, unhoused
from ctxext.model.families import Gemma2Geometry, Gemma3Geometry, Olmo2Geometry, Qwen3Geometry, Smollm3Geometry
from ctxext.model.geometry import DecoderGeometry, Geometry, VanillaGeometry
from ctxext.position.learned import Learned
from ctxext.position.learned_interp import LearnedInterp
from ctxext.position.nope import Nope
from ctxext.position.partial import PartialRope
from ctxext.position.sinusoidal import Sinusoidal

Config = dict[str, Any]
PLAIN = (Softmax, ShiftedSparse)
"""What is plain softmax attention whenever a model is read."""
ADDED = (Learned, LearnedInterp, Sinusoidal, Nope)
"""Encodings that are a table of what is added at the input, all zeros for none."""
UNBIASED: Config = {"attention_bias": False, "mlp_bias": False}
UNUSED_WINDOW = 4096
"""Gemma's classes want a number also where no layer has a window; it is their default."""


def llama_family(made: Composition) -> Config:
    """Return the architecture of a Llama body, which has a name of its own for each thing that differs."""
    if type(made.gathering) is Differential:
        return diffllama(made)
    if type(made.gathering) is Ministral3Temperature:
        return ministral3(made)
    require_attention(made, *PLAIN)
    if any(type(encoding) is PartialRope for encoding in made.encodings):
        return phi3(made)
    if geometry_of(made).attention_bias:
        return qwen2(made)
    if not all(made.turned) or not made.is_even:
        return smollm3(made) | UNBIASED
    return mistral(made) if made.window else named("LlamaForCausalLM", "llama") | UNBIASED


def mistral(made: Composition) -> Config:
    """Return the architecture whose layers all see a window; it counts the query's own token, as ours does."""
    return named("MistralForCausalLM", "mistral") | {"sliding_window": made.window}


def qwen2(made: Composition) -> Config:
    """Return the architecture whose queries, keys and values have biases, and any layers windows."""
    biased = "model.attention_bias=true"
    require_turned(made, "SmolLM3, which alone leaves rotations out, has other biases or none", biased)
    return named("Qwen2ForCausalLM", "qwen2") | windows_of_qwen(made)


def windows_of_qwen(made: Composition) -> Config:
    """Return the keys in which Qwen's architectures say which layers have a window."""
    if not made.window:
        return {"use_sliding_window": False}
    first = made.layer_types.index("sliding_attention")
    window = {"use_sliding_window": True, "sliding_window": made.window, "max_window_layers": first}
    return window | {"layer_types": made.layer_types}


def smollm3(made: Composition) -> Config:
    """Return the architecture that may leave the rotation out, and may have a window, for each layer apart."""
    window = {"use_sliding_window": True, "sliding_window": made.window}
    return named("SmolLM3ForCausalLM", "smollm3") | {
        **(window if made.window else {"use_sliding_window": False}),
        "layer_types": made.layer_types,
        "no_rope_layers": [int(turns) for turns in made.turned],
    }


def ministral3(made: Composition) -> Config:
    """Return the architecture whose logits grow with the position; how fast stands among its rope parameters."""
    option = chosen("attention", made.attention)
    require_unbiased(made, option, "Ministral 3 has no biases")
    require_turned(made, "Ministral 3 turns all layers", option)
    require_even(made, "Ministral 3 has one window for all layers", option)
    return named("Ministral3ForCausalLM", "ministral3") | {"sliding_window": made.window or None}


def diffllama(made: Composition) -> Config:
    """Return the architecture that subtracts one softmax from another."""
    gathering, option = made.gathering, chosen("attention", made.attention)
    assert isinstance(gathering, Differential)
    require_unbiased(made, option, "DiffLlama has biases on four projections or none")
    require_turned(made, "DiffLlama turns all layers", option)
    require_no_window(made, "DiffLlama has no windows", option)
    if gathering.rms_norm_eps != geometry_of(made).rms_norm_eps:
        raise together("DiffLlama's are one number", f"{option}'s rms_norm_eps", "another model.rms_norm_eps")
    return named("DiffLlamaForCausalLM", "diffllama") | {"attention_bias": False, "lambda_std_dev": 0.1}


def phi3(made: Composition) -> Config:
    """Return the architecture that turns a part of each head; some of its projections are written as one."""
    option = chosen("position", made.position)
    require_unbiased(made, option, "Phi-3, which turns a part of each head, has no biases")
    require_even(made, "Phi-3 has one window for all layers", option)
    dropouts = {"resid_pdrop": 0.0, "embd_pdrop": 0.0}
    return named("Phi3ForCausalLM", "phi3") | dropouts | {"sliding_window": made.window or None}


def qwen3(made: Composition) -> Config:
    """Return Qwen3, any of whose layers may have a window."""
    require_attention(made, *PLAIN)
    require_turned(made, "Qwen3 turns all layers", chosen("model", made.geometry))
    return named("Qwen3ForCausalLM", "qwen3") | {"attention_bias": False} | windows_of_qwen(made)


def olmo2(made: Composition) -> Config:
    """Return OLMo 2."""
    option = chosen("model", made.geometry)
    require_attention(made, *PLAIN)
    require_turned(made, "OLMo 2 turns all layers", option)
    require_no_window(made, "OLMo 2 has no windows", option)
    return named("Olmo2ForCausalLM", "olmo2") | {"attention_bias": False}


def smollm3_itself(made: Composition) -> Config:
    """Return SmolLM3, whose geometry says which layers turn."""
    require_attention(made, *PLAIN)
    return smollm3(made) | UNBIASED


def gemma2(made: Composition) -> Config:
    """Return Gemma 2, whose logits may be capped."""
    require_attention(made, *PLAIN, SoftCap)
    require_turned(made, "Gemma 2 turns all layers", chosen("model", made.geometry))
    keys = named("Gemma2ForCausalLM", "gemma2") | gemma(made)
    if not isinstance(made.gathering, SoftCap):
        return keys | {"attn_logit_softcapping": None}
    # transformers 4 would take sdpa, and with it drop the cap in silence.
    return keys | {"attn_logit_softcapping": made.gathering.attn_logit_softcapping, "_attn_implementation": "eager"}


def gemma3(made: Composition) -> Config:
    """Return the text part of Gemma 3, whose layers with a window are those with the local theta."""
    geometry, option = made.geometry, chosen("model", made.geometry)
    assert isinstance(geometry, Gemma3Geometry)
    require_attention(made, *PLAIN)
    require_turned(made, "Gemma 3 turns all layers", option)
    if [bool(is_local) for is_local in geometry.local_layers] != [bool(window) for window in made.windows]:
        raise together(
            "its layers with the local theta, and no others, see a window", chosen("mask", made.mask), option
        )
    return named("Gemma3ForCausalLM", "gemma3_text") | gemma(made) | {"attn_logit_softcapping": None}


def gemma(made: Composition) -> Config:
    """Return what both Gemmas have in common."""
    geometry = made.geometry
    assert isinstance(geometry, Gemma2Geometry | Gemma3Geometry)
    scalar = geometry.query_pre_attn_scalar
    if scalar != int(scalar):
        number = f"model.query_pre_attn_scalar={scalar:g}"
        raise together("a reader's Gemma holds a whole number", number, chosen("model", geometry))
    return {
        "attention_bias": False,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_act": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": int(scalar),
        "final_logit_softcapping": geometry.final_logit_softcapping or None,
        "layer_types": made.layer_types,
        "sliding_window": made.window or UNUSED_WINDOW,
    }


def gpt2(made: Composition) -> Config:
    """Return the architecture that adds a table of positions, for the Transformer of 2017 with its norms in front."""
    geometry, option = made.geometry, chosen("model", made.geometry)
    assert isinstance(geometry, VanillaGeometry)
    require_attention(made, *PLAIN)
    if {type(encoding) for encoding in made.encodings} - set(ADDED):
        raise together("GPT-2 adds a table of positions and turns nothing", chosen("position", made.position), option)
    require_no_window(made, "GPT-2 has no windows", option)
    return named("GPT2LMHeadModel", "gpt2") | {
        "vocab_size": geometry.vocab_size,
        "n_embd": geometry.hidden_size,
        "n_layer": geometry.num_hidden_layers,
        "n_head": geometry.num_attention_heads,
        "n_inner": geometry.intermediate_size,
        "layer_norm_epsilon": geometry.layer_norm_eps,
        "activation_function": "relu",
        # Sinusoidal positions go with scaled embeddings, which the unembedding is not.
        "tie_word_embeddings": not isinstance(made.position, Sinusoidal),
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
        "initializer_range": 0.02,
        "use_cache": True,
    }


BODIES: dict[type[Any], Callable[[Composition], Config]] = {
    DecoderGeometry: llama_family,
    Qwen3Geometry: qwen3,
    Olmo2Geometry: olmo2,
    Smollm3Geometry: smollm3_itself,
    Gemma2Geometry: gemma2,
    Gemma3Geometry: gemma3,
    VanillaGeometry: gpt2,
}


def body(geometry: Geometry) -> Callable[[Composition], Config]:
    """Return the words for bodies of `geometry`; raise NotExportable if no reader has such a body."""
    if type(geometry) not in BODIES:
        raise unhoused("model", geometry)
    return BODIES[type(geometry)]


def named(architecture: str, kind: str) -> Config:
    """Return the two names of an `architecture`."""
    return {"architectures": [architecture], "model_type": kind}
