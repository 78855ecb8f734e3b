"""What GGUF files call the parts of a model, and how llama.cpp stores them there; read and written by these tables."""

from dataclasses import dataclass, field

PROJECTIONS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
HEAD_NORMS = {"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
NORMS_BEFORE = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
NORMS_AFTER = {"post_attention_layernorm": "post_attention_norm", "post_feedforward_layernorm": "post_ffw_norm"}
NORMS_AROUND = NORMS_AFTER | {"input_layernorm": "attn_norm", "pre_feedforward_layernorm": "ffn_norm"}

OUTSIDE = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"}
"""The parts outside of the layers: our name, and GGUF's."""
LAYERS, BLOCKS = "layers", "blk"
ROPE_FREQS, ROPE_SHORT, ROPE_LONG = "rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"


@dataclass(frozen=True)
class Architecture:
    """How llama.cpp stores one kind of model.

    `parts` are those of a layer: our name, and GGUF's. With `is_interleaved` the rows of queries and keys are stored
    pair by pair, not half by half. `norm_offset` is what is added to the weights of all norms.
    """

    parts: dict[str, str] = field(default_factory=lambda: PROJECTIONS | NORMS_BEFORE)
    is_interleaved: bool = False
    norm_offset: float = 0.0


ARCHITECTURES = {
    "llama": Architecture(is_interleaved=True),  # Mistral and SmolLM2 too
    "qwen2": Architecture(),
    "qwen3": Architecture(PROJECTIONS | NORMS_BEFORE | HEAD_NORMS),
    "olmo2": Architecture(PROJECTIONS | NORMS_AFTER | HEAD_NORMS),
    "smollm3": Architecture(is_interleaved=True),
    "gemma2": Architecture(PROJECTIONS | NORMS_AROUND, norm_offset=1.0),
    "gemma3": Architecture(PROJECTIONS | NORMS_AROUND | HEAD_NORMS, norm_offset=1.0),
}
"""By the value of `general.architecture`."""


def stored_name(name: str, architecture: Architecture) -> str:
    """Return what GGUF calls our tensor `name`, as `layers.0.mlp.up_proj.weight`, in a model of `architecture`."""
    part, _, kind = name.rpartition(".")
    if not part.startswith(f"{LAYERS}."):
        return f"{OUTSIDE[part]}.{kind}"
    _, index, part = part.split(".", 2)
    return f"{BLOCKS}.{index}.{architecture.parts[part]}.{kind}"
