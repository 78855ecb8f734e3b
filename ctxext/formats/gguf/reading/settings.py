"""What a GGUF file says of a model, key by key; a key that would change what is computed is never passed over."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ctxext.formats.gguf.names import ARCHITECTURES, Architecture
from ctxext.formats.gguf.reading.header import Header
from ctxext.refusal import nearest, require

READ = (
    "context_length",
    "embedding_length",
    "block_count",
    "feed_forward_length",
    "vocab_size",
    "tensor_data_layout",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "attention.sliding_window",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.attn_factor",
    "rope.scaling.original_context_length",
    "rope.scaling.finetuned",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
)
"""Keys of every architecture; what others say must be 0."""
OWN = {
    "gemma2": ("attn_logit_softcapping", "final_logit_softcapping"),
    "gemma3": (
        "final_logit_softcapping",
        "attention.sliding_window_pattern",
        "attention.key_length_swa",
        "attention.value_length_swa",
        "rope.freq_base_swa",
        "rope.dimension_count_swa",
    ),
}
"""Keys of some architectures besides."""


@dataclass(frozen=True)
class ModelSettings:
    """The keys of a file's own architecture, `name`, without that prefix."""

    header: Header
    name: str

    @property
    def architecture(self) -> Architecture:
        """How tensors are stored."""
        return ARCHITECTURES[self.name]

    def has(self, key: str) -> bool:
        """Return whether the file states `key`."""
        return f"{self.name}.{key}" in self.header.values

    def where(self, key: str) -> str:
        """Return how a sentence about `key` opens."""
        return f"{self.header.file}: {self.name}.{key}"

    def number(self, key: str, default: float | None = None) -> float:
        """Return the number above 0 at `key`, or `default` where it is absent; lists are of one value throughout."""
        value = self.header.values.get(f"{self.name}.{key}", default)
        if isinstance(value, list):
            require(len(set(value)) == 1, f"{self.where(key)} must be the same in all layers, got {value}")
            value = value[0]
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")
        said = "nothing" if value is None else repr(value)
        require(fits, f"{self.where(key)} must be a number above 0, got {said}")
        assert isinstance(value, (int, float))
        return as_typed(value) if isinstance(value, float) else value

    def count(self, key: str, default: int | None = None) -> int:
        """Return the whole number above 0 at `key`, or `default` where it is absent."""
        value = self.number(key, default)
        require(isinstance(value, int), f"{self.where(key)} must be a whole number, got {value!r}")
        return int(value)

    def text(self, key: str, default: str) -> str:
        """Return the text at `key`, or `default` where it is absent."""
        value: Any = self.header.values.get(f"{self.name}.{key}", default)
        require(isinstance(value, str), f"{self.where(key)} must be a text, got {value!r}")
        return str(value)


def as_typed(number: float) -> float:
    """Return the shortest decimal that is `number` in the 32 bits in which llama.cpp stores it: 1e-5, as was meant."""
    return float(str(np.float32(number)))


def model_settings(header: Header) -> ModelSettings:
    """Return the settings of the model in `header`; refuse, by name, an architecture or a key that is not read."""
    name = header.values.get("general.architecture")
    known = sorted(ARCHITECTURES)
    require(
        isinstance(name, str) and name in ARCHITECTURES,
        f"{header.file}: general.architecture must be one of {', '.join(known)}, the kinds that are read, "
        f"got {name!r}{nearest(str(name), known)}",
    )
    assert isinstance(name, str)
    read = {f"{name}.{key}" for key in (*READ, *OWN.get(name, ()))}
    for key, value in header.values.items():
        passed_over = key.startswith(f"{name}.") and key not in read
        require(not (passed_over and value), f"{header.file}: {key} is {value!r}, which is not read")
    return ModelSettings(header, name)
