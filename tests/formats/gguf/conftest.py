"""Tiny GGUF files, written from random transformers models with gguf's own table of names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize

VOCABULARY = 320
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "attn_implementation": "eager",
}
GPT2_BYTES = [*range(33, 127), *range(161, 173), *range(174, 256)]
PERMUTED = ("llama", "smollm3")
SHIFTED = ("gemma2", "gemma3")


def model_of(architecture: str, **changes: Any) -> Any:
    """Return a random transformers model of `architecture`, its norms and biases included."""
    names = {"gemma3": "Gemma3Text", "smollm3": "SmolLM3"}
    name = names.get(architecture, architecture.capitalize())
    defaults: dict[str, Any] = {"rope_parameters": {"rope_type": "default", "rope_theta": 20000.0}}
    if architecture == "smollm3":
        defaults |= {"num_hidden_layers": 5, "no_rope_layers": [1, 1, 1, 0, 1], "pad_token_id": 0}
    if architecture == "gemma2":
        defaults |= {"sliding_window": 8, "query_pre_attn_scalar": 32, "attn_logit_softcapping": 5.0}
    if architecture == "gemma3":
        full, local = ({"rope_type": "default", "rope_theta": theta} for theta in (20000.0, 10000.0))
        ropes = {"full_attention": full, "sliding_attention": local}
        defaults |= {"num_hidden_layers": 7, "sliding_window": 8, "query_pre_attn_scalar": 32}
        defaults |= {
            "rope_parameters": ropes,
            "layer_types": ["sliding_attention"] * 5 + ["full_attention"] + ["sliding_attention"],
        }
    config = getattr(transformers, f"{name}Config")(**SIZES | {"tie_word_embeddings": True} | defaults | changes)
    torch.manual_seed(0)
    kind = {"gemma3": "Gemma3"}.get(architecture, name)
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape)
            is_norm = "norm" in key
            parameter.copy_(0.2 * noise + (architecture not in SHIFTED) if is_norm else 0.2 * noise)
    return model


def stored(name: str, tensor: torch.Tensor, architecture: str, config: Any) -> np.ndarray:
    """Return `tensor` as llama.cpp's converter stores it."""
    if architecture in PERMUTED and ("q_proj" in name or "k_proj" in name):
        heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
        order = [head * 32 + half * 16 + pair for head in range(heads) for pair in range(16) for half in range(2)]
        tensor = tensor[order]
    if architecture in SHIFTED and "norm" in name:
        tensor = tensor + 1
    return tensor.detach().float().numpy()


def kind_for(name: str, tensor: np.ndarray, kind: str) -> GGMLQuantizationType:
    """Return the type that `tensor` is stored in, if matrices are to be of `kind`."""
    return GGMLQuantizationType[kind] if tensor.ndim == 2 else GGMLQuantizationType.F32


def vocabulary() -> tuple[list[str], list[int], list[str]]:
    """Return 320 tokens, byte-level, with their types, and merges."""
    others = [byte for byte in range(256) if byte not in GPT2_BYTES]
    letters = [chr(byte) for byte in GPT2_BYTES] + [chr(256 + index) for index in range(len(others))]
    words = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *letters]
    merges = ["Ġ t", "h e", "Ġt he", "i n", "Ġ Ġ", "e r", "1 2", "3 4", "Ċ Ċ", "' s", "c a"]
    words += ["".join(merge.split(" ")) for merge in merges]
    words.append("<think>")
    types = [3] * 3 + [1] * (len(words) - 4) + [4]
    padding = VOCABULARY - len(words)
    return words + [f"[PAD{index}]" for index in range(padding)], types + [5] * padding, merges


def keys_of(model: Any, architecture: str) -> dict[str, Any]:
    """Return the keys of llama.cpp's converter for `model`."""
    config = model.config
    parameters = config.rope_parameters
    keys = {
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "rope.dimension_count": config.head_dim,
        "rope.freq_base": parameters.get("full_attention", parameters)["rope_theta"],
        "vocab_size": config.vocab_size,
    }
    if architecture in SHIFTED:
        keys["attention.sliding_window"] = config.sliding_window
        caps = ("attn_logit_softcapping", "final_logit_softcapping") if architecture == "gemma2" else ()
        keys |= {key: getattr(config, key) for key in caps}
    words, types, merges = vocabulary()
    own = {"tokens": words, "token_type": types, "merges": merges, "model": "gpt2", "pre": "smollm"}
    own |= {"bos_token_id": 1, "eos_token_id": 2, "padding_token_id": 0, "add_bos_token": False}
    return {f"{architecture}.{key}": value for key, value in keys.items()} | {
        f"tokenizer.ggml.{key}": value for key, value in own.items()
    }


def add(writer: GGUFWriter, key: str, value: Any) -> None:
    """Add the `value` of `key`."""
    adders = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
    adders.get(type(value), writer.add_array)(key, value)


def write_gguf(
    file: Path,
    model: Any,
    architecture: str,
    kind: str = "F32",
    keys: dict[str, Any] | None = None,
    tensors: dict[str, np.ndarray] | None = None,
) -> Path:
    """Write `model` to `file` with matrices of `kind`; `keys` and `tensors` win over its own, and None drops one."""
    writer = GGUFWriter(file, architecture)
    for key, value in (keys_of(model, architecture) | (keys or {})).items():
        if value is not None:
            add(writer, key, value)
    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(arch, model.config.num_hidden_layers)
    own = {
        names.get_name(name, try_suffixes=(".weight", ".bias")): stored(name, tensor, architecture, model.config)
        for name, tensor in model.state_dict().items()
        if not (name == "lm_head.weight" and model.config.tie_word_embeddings)
    }
    for name, tensor in (own | (tensors or {})).items():
        if tensor is not None:
            raw = kind_for(name, tensor, kind)
            writer.add_tensor(name, quantize(tensor, raw), raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.fixture(scope="session")
def transformers_model() -> Callable[..., Any]:
    """The maker of random transformers models."""
    return model_of


@pytest.fixture(scope="session")
def gguf_of() -> Callable[..., Path]:
    """The writer of tiny GGUF files."""
    return write_gguf
