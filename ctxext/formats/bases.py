"""The base that a run starts from: a Hugging Face folder, shipped or the user's own, read and never run."""

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxext.model.geometry import DecoderGeometry
from ctxext.refusal import Refusal, nearest, require

if TYPE_CHECKING:
    from ctxext.position.rope import Rope

SHIPPED = "pkg://"
# What our decoder has fixed, with Llama's default where the file is silent.
FIXED = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "pretraining_tp": 1,
    "use_sliding_window": False,
}
KINDS = {"llama": False, "qwen2": True}
"""The kinds that are read, and whether their queries, keys and values have biases."""


def base_folder(path: str) -> Path:
    """Return the folder of `base.path`, where pkg://NAME is shipped with the package; refuse one that is not there."""
    if path.startswith(SHIPPED):
        bases = Path(str(files("ctxext"))) / "bases"
        known = sorted(entry.name for entry in bases.iterdir() if entry.is_dir()) if bases.is_dir() else []
        name = path.removeprefix(SHIPPED)
        require(name in known, f"base.path={path}: no base of this name is shipped{nearest(name, known)}")
        return bases / name
    folder = Path(path).expanduser()
    require((folder / "config.json").is_file(), f"base.path={path}: no Hugging Face folder, it has no config.json")
    return folder


def tokenizer_file(folder: Path) -> Path:
    """Return the tokenizer of the base in `folder`."""
    return folder / "tokenizer.json"


def read_trained_length(folder: Path) -> int:
    """Return the length in tokens at which the base in `folder` was trained."""
    return int(number(folder, read_config(folder), "max_position_embeddings", None))


def read_geometry(folder: Path) -> DecoderGeometry:
    """Return the sizes of the base in `folder`; refuse what our decoder would compute otherwise."""
    config, file = read_config(folder), folder / "config.json"
    kind = config.get("model_type")
    require(
        kind in KINDS, f"{file}: model_type must be one of {', '.join(KINDS)}, the kinds that are read, got {kind!r}"
    )
    for key, value in FIXED.items():
        require(config.get(key, value) == value, f"{file}: {key} must be {value!r}, got {config.get(key)!r}")
    width, heads = (int(number(folder, config, key, None)) for key in ("hidden_size", "num_attention_heads"))
    tied = config.get("tie_word_embeddings", False)
    require(isinstance(tied, bool), f"{file}: tie_word_embeddings must be true or false, got {tied!r}")
    return DecoderGeometry(
        vocab_size=int(number(folder, config, "vocab_size", None)),
        hidden_size=width,
        intermediate_size=int(number(folder, config, "intermediate_size", None)),
        num_hidden_layers=int(number(folder, config, "num_hidden_layers", None)),
        num_attention_heads=heads,
        num_key_value_heads=int(number(folder, config, "num_key_value_heads", heads)),
        head_dim=int(number(folder, config, "head_dim", width // max(heads, 1))),
        tie_word_embeddings=tied,
        rms_norm_eps=number(folder, config, "rms_norm_eps", 1e-6),
        attention_bias=KINDS[str(kind)],
    )


def read_position(folder: Path) -> "Rope":
    """Return the position encoding of the base in `folder`; refuse, by name, one that is itself an extended model."""
    from ctxext.position.rope import Rope  # it brings torch

    config, file = read_config(folder), folder / "config.json"
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    require(isinstance(rope, dict), f"{file}: rope_parameters must be an object, got {rope!r}")
    kind = rope.get("rope_type", rope.get("type", "default"))
    require(
        kind == "default" and not any(isinstance(value, dict) for value in rope.values()),
        f"{file}: rope_type must be default, since a base is a model that is not extended yet, got {kind!r}",
    )
    return Rope(number(folder, config | rope, "rope_theta", 10000.0))


def read_config(folder: Path) -> dict[str, Any]:
    """Return the config.json of `folder`; refuse one that is absent or is no JSON object."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Refusal(f"{file}: cannot be read as JSON ({error})") from error
    require(isinstance(config, dict), f"{file}: must be a JSON object, got {type(config).__name__}")
    return dict(config)


def number(folder: Path, config: dict[str, Any], key: str, default: float | None) -> float:
    """Return the number above 0 at `key` of `config`, or `default` where it is absent and may be."""
    value = config.get(key)
    value = default if value is None else value
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
    require(fits, f"{folder / 'config.json'}: {key} must be a number above 0, got {value!r}")
    assert value is not None
    return value
