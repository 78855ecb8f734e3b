"""The sizes of families beside Llama's, whose bodies are those of transformers; names are Hugging Face's.

Shapes: B batch, S tokens, W hidden size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ctxext.model.geometry import DecoderGeometry
from ctxext.refusal import require

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctxext.model.block import GatedMlp, SelfAttention
    from ctxext.seams import Position


@dataclass(frozen=True)
class Qwen3Geometry(DecoderGeometry):
    """Qwen3 (Yang et al. 2025, 2505.09388): Llama's body, with a norm on the queries and keys of each head."""

    model_type: ClassVar[str] = "qwen3"

    def self_attention(self) -> SelfAttention:
        from ctxext.kernels.norm import RmsNorm
        from ctxext.model.bodies import HeadNormAttention

        q_norm, k_norm = (RmsNorm(self.head_dim, self.rms_norm_eps) for _ in range(2))
        return HeadNormAttention(self.sizes, q_norm, k_norm)


@dataclass(frozen=True)
class Olmo2Geometry(DecoderGeometry):
    """OLMo 2 (OLMo et al. 2025, 2501.00656): norms after each half, none before; all queries and all keys have one."""

    model_type: ClassVar[str] = "olmo2"

    def self_attention(self) -> SelfAttention:
        from ctxext.kernels.norm import FineRmsNorm
        from ctxext.model.bodies import WholeNormAttention

        counts = self.num_attention_heads, self.num_key_value_heads
        q_norm, k_norm = (FineRmsNorm(count * self.head_dim, self.rms_norm_eps) for count in counts)
        return WholeNormAttention(self.sizes, q_norm, k_norm)

    def block(self) -> nn.Module:
        from ctxext.model.bodies import PostNormBlock

        return PostNormBlock(self.self_attention(), self.mlp(), self.norm)

    def norm(self) -> nn.Module:
        from ctxext.kernels.norm import FineRmsNorm

        return FineRmsNorm(self.hidden_size, self.rms_norm_eps)


@dataclass(frozen=True, kw_only=True)
class Smollm3Geometry(DecoderGeometry):
    """SmolLM3 (Hugging Face 2025): Llama's body, of which some layers have no positions (Yang et al. 2025, 2501.18795).

    In `no_rope_layers`, as Hugging Face has it, 1 is a layer with positions and 0 one without.
    """

    no_rope_layers: tuple[int, ...]

    model_type: ClassVar[str] = "smollm3"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers(self, "no_rope_layers")

    def position_of(self, index: int, position: Position) -> Position:
        from ctxext.position.nope import Nope

        return position if self.no_rope_layers[index] else Nope()


@dataclass(frozen=True, kw_only=True)
class Gemma(DecoderGeometry):
    """What Gemma 2 and 3 share: scaled embeddings, norms times 1 + weight on both sides of each half, GEGLU, and caps.

    Logits of attention are divided by the root of `query_pre_attn_scalar`, the last ones bounded by
    `final_logit_softcapping` through a hyperbolic tangent, or by nothing if that is 0.
    """

    query_pre_attn_scalar: float
    final_logit_softcapping: float

    def __post_init__(self) -> None:
        super().__post_init__()
        scalar, cap = self.query_pre_attn_scalar, self.final_logit_softcapping
        require(scalar > 0, f"model.query_pre_attn_scalar must be above 0, got {scalar}")
        require(cap >= 0, f"model.final_logit_softcapping must be at least 0, which is none, got {cap}")

    @property
    def query_factor(self) -> float:
        """What queries are multiplied by, given that logits are divided by the root of the heads' width."""
        return math.sqrt(self.head_dim / self.query_pre_attn_scalar)

    def embed(self, x: Tensor) -> Tensor:
        import torch

        scale = torch.tensor(self.hidden_size**0.5, dtype=x.dtype)  # rounded first, as the weights were trained with it
        return x * scale

    @property
    def logit_cap(self) -> float:
        return self.final_logit_softcapping

    def block(self) -> nn.Module:
        from ctxext.model.bodies import SandwichBlock

        return SandwichBlock(self.self_attention(), self.mlp(), self.norm)

    def mlp(self) -> GatedMlp:
        from functools import partial

        from torch.nn.functional import gelu

        from ctxext.model.block import GatedMlp

        return GatedMlp(self.hidden_size, self.intermediate_size, partial(gelu, approximate="tanh"))

    def norm(self) -> nn.Module:
        from ctxext.kernels.norm import OffsetRmsNorm

        return OffsetRmsNorm(self.hidden_size, self.rms_norm_eps)


@dataclass(frozen=True, kw_only=True)
class Gemma2Geometry(Gemma):
    """Gemma 2 (Gemma Team 2024, 2408.00118); its logits of attention are bounded by attention=softcap."""

    model_type: ClassVar[str] = "gemma2"

    def self_attention(self) -> SelfAttention:
        from torch import nn

        from ctxext.model.bodies import GemmaAttention

        return GemmaAttention(self.sizes, nn.Identity(), nn.Identity(), self.query_factor)


@dataclass(frozen=True, kw_only=True)
class Gemma3Geometry(Gemma):
    """Gemma 3, its text half (Gemma Team 2025, 2503.19786): a norm on the queries and keys of each head, two rotations.

    In `local_layers` 1 is a layer that sees a window and turns at `rope_local_base_freq`, whatever the others do; the
    window itself is the mask's.
    """

    rope_local_base_freq: float
    local_layers: tuple[int, ...]

    model_type: ClassVar[str] = "gemma3_text"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers(self, "local_layers")
        theta = self.rope_local_base_freq
        require(theta > 1, f"model.rope_local_base_freq must be above 1, got {theta}")

    def position_of(self, index: int, position: Position) -> Position:
        from ctxext.position.rope import Rope

        return Rope(self.rope_local_base_freq) if self.local_layers[index] else position

    def self_attention(self) -> SelfAttention:
        from ctxext.kernels.norm import OffsetRmsNorm
        from ctxext.model.bodies import GemmaAttention

        q_norm, k_norm = (OffsetRmsNorm(self.head_dim, self.rms_norm_eps) for _ in range(2))
        return GemmaAttention(self.sizes, q_norm, k_norm, self.query_factor)


def check_layers(geometry: DecoderGeometry, name: str) -> None:
    """Refuse the field `name` of `geometry` without a 0 or a 1 for each layer; a config's list becomes a tuple."""
    given, count = tuple(getattr(geometry, name)), geometry.num_hidden_layers
    rule = f"model.{name} must have a 0 or a 1 for each of model.num_hidden_layers={count}"
    require(len(given) == count and set(given) <= {0, 1}, f"{rule}, got {list(given)}")
    object.__setattr__(geometry, name, given)
