"""The kinds of Hugging Face models that are read: what each takes for granted, and the sizes of its body.

Where a file is silent, a kind's own defaults hold, which are those of its configuration class in transformers.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ctxext.formats.huggingface.reading.keys import Keys, made
from ctxext.formats.huggingface.reading.rope_keys import local_theta
from ctxext.formats.huggingface.reading.windows import (
    Layers,
    all_windowed,
    alternating,
    mostly_windowed,
    turned,
    unturned_windowed,
    upper_windowed,
    without_windows,
)
from ctxext.model.families import Gemma2Geometry, Gemma3Geometry, Olmo2Geometry, Qwen3Geometry, Smollm3Geometry
from ctxext.model.geometry import DecoderGeometry
from ctxext.refusal import nearest, require

WIDEST = 2**20


@dataclass(frozen=True)
class Kind:
    """A `model_type`: its `body`, the `defaults` of keys, its `layers` with windows, and what its body has `fixed`."""

    body: Callable[[Keys], DecoderGeometry]
    defaults: Mapping[str, Any]
    layers: Callable[[Keys], Layers]
    fixed: Mapping[str, Any]
    rope_theta: float = 10000.0


def sizes(config: Keys) -> dict[str, Any]:
    """Return what all bodies have in common."""
    width, heads = (config.whole(key, most=WIDEST) for key in ("hidden_size", "num_attention_heads"))
    return {
        "vocab_size": config.whole("vocab_size"),
        "hidden_size": width,
        "intermediate_size": config.whole("intermediate_size", most=WIDEST),
        "num_hidden_layers": config.whole("num_hidden_layers", most=1024),
        "num_attention_heads": heads,
        "num_key_value_heads": whole_or(config, "num_key_value_heads", heads),
        "head_dim": whole_or(config, "head_dim", width // heads),
        "tie_word_embeddings": config.flag("tie_word_embeddings"),
        "rms_norm_eps": config.number("rms_norm_eps"),
    }


def whole_or(config: Keys, key: str, derived: int) -> int:
    """Return the whole number at `key`, or the one `derived` from others where it is absent or null."""
    return config.whole(key, most=WIDEST) if config.has(key) else derived


def llama(config: Keys) -> DecoderGeometry:
    """Return the sizes of a Llama or a Mistral."""
    return DecoderGeometry(**sizes(config))


def qwen2(config: Keys) -> DecoderGeometry:
    """Return the sizes of a Qwen2, whose queries, keys and values have biases."""
    return DecoderGeometry(**sizes(config), attention_bias=True)


def qwen3(config: Keys) -> DecoderGeometry:
    """Return the sizes of a Qwen3."""
    return Qwen3Geometry(**sizes(config))


def olmo2(config: Keys) -> DecoderGeometry:
    """Return the sizes of an OLMo 2."""
    return Olmo2Geometry(**sizes(config))


def smollm3(config: Keys) -> DecoderGeometry:
    """Return the sizes of a SmolLM3."""
    return Smollm3Geometry(**sizes(config), no_rope_layers=turned(config))


def gemma2(config: Keys) -> DecoderGeometry:
    """Return the sizes of a Gemma 2."""
    return Gemma2Geometry(**sizes(config), **scales(config))


def gemma3(config: Keys) -> DecoderGeometry:
    """Return the sizes of a Gemma 3 without its eyes."""
    local = tuple(int(is_windowed) for is_windowed in mostly_windowed(config))
    theta = local_theta(config)
    return Gemma3Geometry(**sizes(config), **scales(config), rope_local_base_freq=theta, local_layers=local)


def scales(config: Keys) -> dict[str, Any]:
    """Return by what Gemma divides logits of attention, and the bound of the last ones, 0 for none."""
    cap = "final_logit_softcapping"
    bound = config.number(cap) if config.has(cap) else 0.0
    return {"query_pre_attn_scalar": config.number("query_pre_attn_scalar"), cap: bound}


LLAMA = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}
MISTRAL = LLAMA | {
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "sliding_window": 4096,
}
QWEN2 = LLAMA | {
    "vocab_size": 151936,
    "intermediate_size": 22016,
    "num_key_value_heads": 32,
    "max_position_embeddings": 32768,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
}
SMOLLM3 = LLAMA | {
    "vocab_size": 128256,
    "hidden_size": 2048,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "max_position_embeddings": 32768,
    "tie_word_embeddings": True,
    "use_sliding_window": False,
    "no_rope_layer_interval": 4,
}
GEMMA2 = LLAMA | {
    "vocab_size": 256000,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "final_logit_softcapping": 30.0,
    "attn_logit_softcapping": 50.0,
}
GEMMA3 = GEMMA2 | {
    "vocab_size": 262208,
    "max_position_embeddings": 131072,
    "sliding_window_pattern": 6,
    "final_logit_softcapping": None,
    "attn_logit_softcapping": None,
}
OLMO2 = LLAMA | {"vocab_size": 50304, "rms_norm_eps": 1e-5}

PLAIN = {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "pretraining_tp": 1}
GELU = {"hidden_activation": "gelu_pytorch_tanh", "attention_bias": False, "use_bidirectional_attention": False}
UNCAPPED = {"final_logit_softcapping": None, "attn_logit_softcapping": None}
EVERYWHERE = {
    "quantization_config": None,
    "clip_qkv": None,
    "embedding_multiplier": 1,
    "residual_multiplier": 1,
    "attention_multiplier": None,
    "logits_scaling": 1,
    "logit_scale": 1,
    "scale_emb": 1,
    "scale_depth": None,
    "use_qk_norm": False,
    "num_experts": None,
    "num_local_experts": None,
    "is_encoder_decoder": False,
    "add_cross_attention": False,
}
"""Keys that change what a model computes, and that no kind here has: each with the value that changes nothing."""
KINDS = {
    "llama": Kind(llama, LLAMA, without_windows, PLAIN | UNCAPPED),
    "mistral": Kind(llama, MISTRAL, all_windowed, PLAIN | UNCAPPED),
    "qwen2": Kind(qwen2, QWEN2, upper_windowed, {"hidden_act": "silu"} | UNCAPPED),
    "qwen3": Kind(qwen3, QWEN2 | {"head_dim": 128}, upper_windowed, PLAIN | UNCAPPED),
    "smollm3": Kind(smollm3, SMOLLM3, unturned_windowed, PLAIN | UNCAPPED, rope_theta=2000000.0),
    "gemma2": Kind(gemma2, GEMMA2, alternating, GELU),
    "gemma3_text": Kind(gemma3, GEMMA3, mostly_windowed, GELU, rope_theta=1000000.0),
    "olmo2": Kind(olmo2, OLMO2, without_windows, PLAIN | UNCAPPED),
}


def kind_of(config: Keys) -> Kind:
    """Return the kind that `config` names; refuse one that is not read."""
    name, known = config.content.get("model_type"), sorted(KINDS)
    where = config.where("model_type")
    require(name != "gemma3", f"{where} is gemma3, a model that sees images; the text model alone is gemma3_text")
    near = nearest(name, known) if isinstance(name, str) else ""
    got = f"got {name!r}{near}" if "model_type" in config.content else "but it is missing"
    require(name in known, f"{where} must be one of {', '.join(known)}, the kinds that are read, {got}")
    return KINDS[str(name)]


def with_defaults(config: Keys) -> Keys:
    """Return `config` with the defaults of its kind; refuse, by its key, what the kind's body here can't compute."""
    kind, name = kind_of(config), config.content["model_type"]
    for key, value in (EVERYWHERE | dict(kind.fixed)).items():
        found = config.content.get(key)
        fits = found is None or (found == value and isinstance(found, bool) == isinstance(value, bool))
        wanted = "null" if value is None else json.dumps(value)
        require(fits, f"{config.where(key)} must be {wanted}, since no other {name} is read, got {json.dumps(found)}")
    return Keys(config.file, {**kind.defaults, **config.content})


def geometry_of(config: Keys) -> DecoderGeometry:
    """Return the sizes that `config`, with its defaults, states."""
    return made(config, "model", lambda: kind_of(config).body(config))
