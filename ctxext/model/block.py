"""The blocks of a decoder: they see only `attend(x, project)`, and know of no method.

Shapes: B batch, S tokens, W hidden size, H heads, G key-value heads, D head width.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import silu

from ctxext.kernels.norm import RmsNorm

Project = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""From states [B, S, W] to queries [B, H, S, D], keys and values [B, G, S, D]."""
Attend = Callable[[Tensor, Project], Tensor]
"""From the states of tokens to what their heads gather [B, H, S, D]."""


class SelfAttention(nn.Module):
    """The four projections around `attend`."""

    def __init__(
        self, width: int, num_heads: int, num_key_value_heads: int, head_dim: int, *, bias: bool, output_bias: bool
    ) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.q_proj = nn.Linear(width, num_heads * head_dim, bias=bias)
        self.k_proj = nn.Linear(width, num_key_value_heads * head_dim, bias=bias)
        self.v_proj = nn.Linear(width, num_key_value_heads * head_dim, bias=bias)
        self.o_proj = nn.Linear(num_heads * head_dim, width, bias=output_bias)

    def forward(self, x: Tensor, attend: Attend) -> Tensor:
        """Return what the tokens `x` [B, S, W] gather through `attend`."""
        gathered: Tensor = self.o_proj(attend(x, self.project).transpose(1, 2).flatten(2))
        return gathered

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the queries [B, H, S, D], keys and values [B, G, S, D] of the states `x` [B, S, W]."""
        q, k, v = (
            linear(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for linear in (self.q_proj, self.k_proj, self.v_proj)
        )
        return q, k, v


class GatedMlp(nn.Module):
    """SwiGLU (Shazeer 2020, 2002.05202)."""

    def __init__(self, width: int, intermediate: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, intermediate, bias=False)
        self.up_proj = nn.Linear(width, intermediate, bias=False)
        self.down_proj = nn.Linear(intermediate, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the transformed `x` [B, S, W]."""
        transformed: Tensor = self.down_proj(silu(self.gate_proj(x)) * self.up_proj(x))
        return transformed


class LlamaBlock(nn.Module):
    """RMSNorm before each half, SwiGLU, no biases: the Llama family's body."""

    def __init__(self, attention: SelfAttention, width: int, intermediate: int, epsilon: float) -> None:
        super().__init__()
        self.input_layernorm = RmsNorm(width, epsilon)
        self.self_attn = attention
        self.post_attention_layernorm = RmsNorm(width, epsilon)
        self.mlp = GatedMlp(width, intermediate)

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
        self.mlp = nn.Sequential(nn.Linear(width, intermediate), nn.ReLU(), nn.Linear(intermediate, width))

    def forward(self, x: Tensor, attend: Attend) -> Tensor:
        """Return the block's output for `x` [B, S, W]."""
        x = x + self.self_attn(self.input_layernorm(x), attend)
        transformed: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return transformed
