"""Kinds of Hugging Face models: their bodies compute what transformers computes, or are refused by a key."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.formats.huggingface.reading.folder import HuggingFaceBase
from ctxext.formats.huggingface.reading.kinds import KINDS
from ctxext.mask.document import IntraDocument
from ctxext.refusal import Refusal

FolderOf = Callable[..., Path]
OLDER = {"rope_parameters": None, "rope_scaling": None, "rope_theta": 5e4, "layer_types": None}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_logits_are_those_of_transformers(
    kind: str, folder_of: FolderOf, logit_difference: Callable[..., float]
) -> None:
    assert logit_difference(folder_of(kind)) < 2e-5


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_keys_of_transformers_4_are_read_the_same(
    kind: str, folder_of: FolderOf, logit_difference: Callable[..., float]
) -> None:
    folder = folder_of(kind, **OLDER, tie_word_embeddings=None)
    assert "rope_parameters" not in json.loads((folder / "config.json").read_text())
    assert logit_difference(folder) < 2e-5
    assert HuggingFaceBase(folder).members()[0].rope_theta == 5e4  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["mistral", "qwen2", "qwen3", "gemma2", "gemma3_text"])
def test_windows_show_in_the_logits(kind: str, folder_of: FolderOf, logit_difference: Callable[..., float]) -> None:
    def without(network: Any) -> Any:
        return network.reading(network.position, IntraDocument(), network.attention)

    assert logit_difference(folder_of(kind), without) > 1e-3


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_silent_config_gets_the_defaults_of_its_kind(kind: str, tmp_path: Path) -> None:
    from transformers import AutoConfig

    theirs: Any = AutoConfig.for_model(kind)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    base = HuggingFaceBase(tmp_path)
    geometry = base.geometry()
    own = {field.name: getattr(geometry, field.name) for field in dataclasses.fields(geometry)}
    own["final_logit_softcapping"] = own.get("final_logit_softcapping") or None
    width = theirs.hidden_size // theirs.num_attention_heads

    assert own.pop("head_dim") == getattr(theirs, "head_dim", width)
    assert own.pop("attention_bias") == (kind == "qwen2")
    assert list(own.pop("no_rope_layers", [])) == getattr(theirs, "no_rope_layers", [])
    local = [int(name == "sliding_attention") for name in getattr(theirs, "layer_types", None) or []]
    assert list(own.pop("local_layers", local)) == local
    rope = theirs.rope_parameters
    if kind == "gemma3_text":
        assert own.pop("rope_local_base_freq") == rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    assert own == {key: getattr(theirs, key, None) for key in own}
    position, mask, attention = base.members()
    assert position.rope_theta == rope["rope_theta"]  # type: ignore[attr-defined]
    assert base.trained_length() == theirs.max_position_embeddings
    has_window = kind == "mistral" or any(local)
    assert getattr(mask, "window", None) == (theirs.sliding_window if has_window else None)
    assert getattr(attention, "attn_logit_softcapping", None) == getattr(theirs, "attn_logit_softcapping", None)


@pytest.mark.parametrize(
    ("kind", "changes", "sentence"),
    [
        ("llama", {"model_type": "gpt2"}, "model_type must be one of gemma2, gemma3_text, llama"),
        ("llama", {"model_type": "lama"}, "did you mean 'llama'"),
        ("llama", {"model_type": ["llama"]}, "model_type must be one of"),
        ("llama", {"model_type": None}, "model_type must be one of"),
        ("gemma3_text", {"model_type": "gemma3"}, "a model that sees images; the text model alone is gemma3_text"),
        ("llama", {"hidden_act": "gelu"}, 'hidden_act must be "silu"'),
        ("gemma2", {"hidden_activation": "gelu"}, 'hidden_activation must be "gelu_pytorch_tanh"'),
        ("gemma3_text", {"use_bidirectional_attention": True}, "use_bidirectional_attention must be false"),
        ("llama", {"attention_bias": True}, "attention_bias must be false"),
        ("qwen3", {"attention_bias": True}, "attention_bias must be false"),
        ("smollm3", {"mlp_bias": True}, "mlp_bias must be false"),
        ("llama", {"pretraining_tp": 2}, "pretraining_tp must be 1"),
        ("olmo2", {"clip_qkv": 8.0}, "clip_qkv must be null"),
        ("llama", {"residual_multiplier": 0.2}, "residual_multiplier must be 1"),
        ("llama", {"logits_scaling": 8}, "logits_scaling must be 1"),
        ("llama", {"attn_logit_softcapping": 30.0}, "attn_logit_softcapping must be null"),
        ("llama", {"quantization_config": {"bits": 4}}, "quantization_config must be null"),
        ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor must be 1"),
        ("llama", {"vocab_size": "97"}, "vocab_size must be a whole number"),
        ("llama", {"hidden_size": -1}, "hidden_size must be a whole number"),
        ("llama", {"num_attention_heads": 0}, "num_attention_heads must be a whole number"),
        ("llama", {"num_hidden_layers": 10**9}, "num_hidden_layers must be a whole number from 1 to 1024"),
        ("llama", {"num_key_value_heads": 3}, "num_attention_heads must be a multiple of num_key_value_heads"),
        ("llama", {"tie_word_embeddings": 1}, "tie_word_embeddings must be true or false"),
        ("llama", {"rms_norm_eps": float("nan")}, "rms_norm_eps must be a number above 0"),
    ],
)
def test_what_our_bodies_would_compute_otherwise_is_refused_by_its_key(
    kind: str, changes: dict[str, Any], sentence: str, folder_of: FolderOf
) -> None:
    folder = folder_of(kind, **changes)
    with pytest.raises(Refusal) as caught:
        HuggingFaceBase(folder).members()
    said = str(caught.value)
    assert said.startswith(f"{folder / 'config.json'}: ")
    assert said.count(str(folder)) == 1
    assert sentence in said


def test_a_null_that_a_reader_takes_for_silence_is_taken_so(folder_of: FolderOf) -> None:
    folder = folder_of("llama")
    config = json.loads((folder / "config.json").read_text()) | {"head_dim": None, "num_key_value_heads": None}
    (folder / "config.json").write_text(json.dumps(config))
    geometry = HuggingFaceBase(folder).geometry()
    assert (geometry.head_dim, geometry.num_key_value_heads) == (8, 4)
