"""A Hugging Face folder as the base of a run: its configuration in our words."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxext.data.tokenizer import load_tokenizer
from ctxext.formats.card import read_license
from ctxext.formats.companions import TOKENIZER, Companions, read_companions
from ctxext.formats.huggingface.weights import read_weights
from ctxext.formats.json_files import read_json
from ctxext.model.geometry import DecoderGeometry
from ctxext.refusal import require

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from ctxext.position.rope import Rope
    from ctxext.seams import Attention, Mask, Position

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


@dataclass(frozen=True)
class HuggingFaceBase:
    """The files of `folder`; see `ctxext.formats.bases.BaseFiles`."""

    folder: Path

    def trained_length(self) -> int:
        """Return the length in tokens at which the weights were trained."""
        return read_trained_length(self.folder)

    def geometry(self) -> DecoderGeometry:
        """Return the sizes of the network."""
        return read_geometry(self.folder)

    def members(self) -> "tuple[Position, Mask, Attention]":
        """Return what fills the three seams of the untouched model."""
        from ctxext.attention.softmax import Softmax
        from ctxext.mask.document import IntraDocument

        return read_position(self.folder), IntraDocument(), Softmax()

    def tokenizer(self) -> "Tokenizer":
        """Return the tokenizer."""
        return load_tokenizer(self.folder / TOKENIZER)

    def companions(self) -> Companions:
        """Return what goes with the tokenizer."""
        return read_companions(self.folder)

    def license(self) -> str:
        """Return the license that the card of the folder states, or nothing."""
        return read_license(self.folder)

    def weights(self) -> "dict[str, Tensor]":
        """Return the tensors in float32 under our names."""
        return read_weights(self.folder, self.geometry())


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
    return read_json(folder / "config.json")


def number(folder: Path, config: dict[str, Any], key: str, default: float | None) -> float:
    """Return the number above 0 at `key` of `config`, or `default` where it is absent and may be."""
    value = config.get(key)
    value = default if value is None else value
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
    require(fits, f"{folder / 'config.json'}: {key} must be a number above 0, got {value!r}")
    assert value is not None
    return value
