"""The parts of bodies that differ from Llama's: where norms lie in a block, and what befalls queries and keys.

Shapes: B batch, S tokens, W hidden size, H heads, G key-value heads, D head width.
"""

from torch import Tensor, nn

from ctxext.model.block import Attend, GatedMlp, LlamaBlock, Norm, SelfAttention
from ctxext.seams import Sizes


class NormedAttention(SelfAttention):
    """Queries and keys pass a norm each before they are turned, for each head or with all their heads at once."""

    def __init__(self, sizes: Sizes, q_norm: nn.Module, k_norm: nn.Module) -> None:
        heads, groups = sizes.num_attention_heads, sizes.num_key_value_heads
        super().__init__(sizes.hidden_size, heads, groups, sizes.head_dim, bias=False, output_bias=False)
        self.q_norm, self.k_norm = q_norm, k_norm


class HeadNormAttention(NormedAttention):
    """Norms of width D, as in Qwen3."""

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = super().project(x)
        return self.q_norm(q), self.k_norm(k), v


class WholeNormAttention(NormedAttention):
    """Norms of width H x D and G x D, as in OLMo2."""

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k = self.q_norm(self.q_proj(x)), self.k_norm(self.k_proj(x))
        return self.split(q), self.split(k), self.split(self.v_proj(x))


class GemmaAttention(HeadNormAttention):
    """Queries are multiplied by `factor`, since logits are not divided by the root of the heads' width."""

    def __init__(self, sizes: Sizes, q_norm: nn.Module, k_norm: nn.Module, factor: float) -> None:
        super().__init__(sizes, q_norm, k_norm)
        self.factor = factor

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = super().project(x)
        return q * self.factor, k, v


class PostNormBlock(nn.Module):
    """A norm after each half, and none before: OLMo2's body."""

    def __init__(self, attention: SelfAttention, mlp: GatedMlp, norm: Norm) -> None:
        super().__init__()
        self.self_attn = attention
        self.post_attention_layernorm = norm()
        self.mlp = mlp
        self.post_feedforward_layernorm = norm()

    def forward(self, x: Tensor, attend: Attend) -> Tensor:
        """Return the block's output for `x` [B, S, W]."""
        x = x + self.post_attention_layernorm(self.self_attn(x, attend))
        transformed: Tensor = x + self.post_feedforward_layernorm(self.mlp(x))
        return transformed


class SandwichBlock(LlamaBlock):
    """A norm before each half and one after: Gemma's body since its second version."""

    def __init__(self, attention: SelfAttention, mlp: GatedMlp, norm: Norm) -> None:
        super().__init__(attention, mlp, norm)
        self.pre_feedforward_layernorm = norm()
        self.post_feedforward_layernorm = norm()

    def forward(self, x: Tensor, attend: Attend) -> Tensor:
        x = x + self.post_attention_layernorm(self.self_attn(self.input_layernorm(x), attend))
        transformed: Tensor = x + self.post_feedforward_layernorm(self.mlp(self.pre_feedforward_layernorm(x)))
        return transformed
