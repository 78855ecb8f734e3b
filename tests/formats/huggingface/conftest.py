"""Tiny models of transformers, one of each kind, and how far our reading of a folder is from theirs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctxext.formats.huggingface.reading.folder import HuggingFaceBase

TRAINED = 32
SIZES: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": TRAINED,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
GEMMA = {"sliding_window": 9, "query_pre_attn_scalar": 16}
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 12},
    "qwen2": {"use_sliding_window": True, "sliding_window": 10, "max_window_layers": 2},
    "qwen3": {"use_sliding_window": True, "sliding_window": 10, "max_window_layers": 0},
    "smollm3": {},
    "gemma2": GEMMA | {"attn_logit_softcapping": 3.0, "final_logit_softcapping": 2.0},
    "gemma3_text": GEMMA | {"sliding_window_pattern": 3, "rms_norm_eps": 1e-3},
    "olmo2": {"rms_norm_eps": 1e-3},
}


def make_folder(folder: Path, kind: str) -> Path:
    """Save a random model of `kind` into `folder`, with norms and weights that show in its logits."""
    from transformers import AutoConfig, AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SIZES | KINDS[kind]))
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = 0.2 * torch.randn(parameter.shape, generator=draw)
            parameter.copy_(noise + ("norm" in name and "gemma" not in kind))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A folder with a model of a kind, and with changes of its config.json, None for a key taken out."""
    made: dict[str, Path] = {}

    def folder(kind: str, **changes: Any) -> Path:
        if kind not in made:
            made[kind] = make_folder(tmp_path_factory.mktemp(kind), kind)
        copy = tmp_path_factory.mktemp(f"{kind}-copy") / "model"
        shutil.copytree(made[kind], copy)
        config = json.loads((copy / "config.json").read_text()) | changes
        kept = {key: value for key, value in config.items() if not (key in changes and value is None)}
        (copy / "config.json").write_text(json.dumps(kept))
        return copy

    return folder


def read(folder: Path) -> Any:
    """Return our network of `folder`."""
    base = HuggingFaceBase(folder)
    network = base.geometry().build(*base.members())
    network.load_state_dict(base.weights())
    return network.eval()


@pytest.fixture(scope="session")
def logit_difference() -> Callable[..., float]:
    """The largest difference of logits to those of transformers at 1, 2 and 4 times the trained length."""

    @torch.no_grad()
    def difference(folder: Path, change: Callable[[Any], Any] = lambda network: network) -> float:
        from transformers import AutoModelForCausalLM

        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
        ours, draw = change(read(folder)), torch.Generator().manual_seed(1)
        found = []
        for length in (TRAINED, 2 * TRAINED, 4 * TRAINED):
            tokens = torch.randint(0, SIZES["vocab_size"], (1, length), generator=draw)
            hidden = ours.hidden(tokens, torch.arange(length)[None])
            logits = theirs.eval()(input_ids=tokens, use_cache=False).logits
            found.append((ours.unembedding.logits(hidden) - logits).abs().max().item())
        return max(found)

    return difference
