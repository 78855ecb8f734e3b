"""The blocks of a decoder: they see only `attend(x, project)`, and know of no method.

Shapes: B batch, S tokens, W hidden size, H heads, G key-value heads, D head width.
"""

from collections.abc import Callable

from torch import Tensor, nn

from ctxext.kernels.product import Linear

Project = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""From states [B, S, W] to queries [B, H, S, D], keys and values [B, G, S, D]."""
Attend = Callable[[Tensor, Project], Tensor]
"""From the states of tokens to what their heads gather [B, H, S, D]."""
Norm = Callable[[], nn.Module]
"""Makes a norm of the stream."""


class SelfAttention(nn.Module):
    """The four projections around `attend`."""

    def __init__(
        self, width: int, num_heads: int, num_key_value_heads: int, head_dim: int, *, bias: bool, output_bias: bool
    ) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.q_proj = Linear(width, num_heads * head_dim, bias=bias)
        self.k_proj = Linear(width, num_key_value_heads * head_dim, bias=bias)
        self.v_proj = Linear(width, num_key_value_heads * head_dim, bias=bias)
        self.o_proj = Linear(num_heads * head_dim, width, bias=output_bias)

    def forward(self, x: Tensor, attend: Attend) -> Tensor:
        """Return what the tokens `x` [B, S, W] gather through `attend`."""
        gathered: Tensor = self.o_proj(attend(x, self.project).transpose(1, 2).flatten(2))
        return gathered

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the queries [B, H, S, D], keys and values [B, G, S, D] of the states `x` [B, S, W]."""
        return self.split(self.q_proj(x)), self.split(self.k_proj(x)), self.split(self.v_proj(x))

    def split(self, projected: Tensor) -> Tensor:
        """Return the heads [B, *, S, D] of what is `projected` [B, S, * x D]."""
        return projected.view(*projected.shape[:-1], -1, self.head_dim).transpose(1, 2)


class GatedMlp(nn.Module):
    """A gated half (Shazeer 2020, 2002.05202): SwiGLU with the `activation` silu, GEGLU with gelu."""

    def __init__(self, width: int, intermediate: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.activation = activation
        self.gate_proj = Linear(width, intermediate, bias=False)
        self.up_proj = Linear(width, intermediate, bias=False)
        self.down_proj = Linear(intermediate, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the transformed `x` [B, S, W]."""
        transformed: Tensor = self.down_proj(self.activation(self.gate_proj(x)) * self.up_proj(x))
        return transformed


class LlamaBlock(nn.Module):
    """A norm before each half: the Llama family's body."""

    def __init__(self, attention: SelfAttention, mlp: GatedMlp, norm: Norm) -> None:
        super().__init__()
        self.input_layernorm = norm()
        self.self_attn = attention
        self.post_attention_layernorm = norm()
        self.mlp = mlp

    def forward(self, x: Tensor, attend: Attend) -> Tensor:
        """Return the block's output for `x` [B, S, W]."""
        x = x + self.self_attn(self.input_layernorm(x), attend)
        transformed: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return transformed


class VanillaBlock(nn.Module):
    """LayerNorm before each half, ReLU, biases: the Transformer of 1706.03762 with its norms moved to the front."""

    def __init__(self, attention: SelfAttention, width: int, intermediate: int, epsilon: float) -> None:
        super().__init__()
        self.input_layernorm = nn.LayerNorm(width, epsilon)
        self.self_attn = attention
        self.post_attention_layernorm = nn.LayerNorm(width, epsilon)
        self.mlp = nn.Sequential(Linear(width, intermediate), nn.ReLU(), Linear(intermediate, width))

    def forward(self, x: Tensor, attend: Attend) -> Tensor:
        """Return the block's output for `x` [B, S, W]."""
        x = x + self.self_attn(self.input_layernorm(x), attend)
        transformed: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return transformed
