"""Gated attention: what heads gather is multiplied by a gate that the token's own state opens.

Shapes: B batch, H heads, Q queries, D head width, W hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ctxext.attention.softmax import Softmax
from ctxext.kernels.product import Linear
from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, Heads, Mask, Position, Sizes, View

GATES = ("element", "head")


@dataclass(frozen=True)
class Gated(Attention):
    """Gated attention (Qiu et al. 2025, 2505.06708): o 2 sigma(W_g x), a gate for each `element` of o or each `head`.

    W_g begins at 0. The paper has sigma(W_g x), which would halve what a trained base gathers; times 2 it begins as
    exactly its base, and weights from scratch learn the same functions.
    """

    gate: str

    def __post_init__(self) -> None:
        check_types(self, "attention")
        require(self.gate in GATES, f"attention.gate must be {' or '.join(GATES)}, got {self.gate!r}")

    def grown(self, sizes: Sizes, before: Attention | None) -> Attention:
        return GatedPart(self.gate, sizes)

    def base(self) -> Attention:
        return Softmax()


class GatedPart(nn.Module, Attention):
    """What the layers learn."""

    def __init__(self, gate: str, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.head_dim if gate == "element" else 1
        outputs = sizes.num_attention_heads * width
        self.layers = nn.ModuleList(GatedLayer(sizes.hidden_size, outputs) for _ in range(sizes.num_hidden_layers))

    def layer(self, index: int, count: int) -> Attention:
        layer: GatedLayer = self.layers[index]  # type: ignore[assignment]
        return layer


class GatedLayer(nn.Module, Attention):
    """The gate of one layer, `g_proj` [H D or H, W]."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.g_proj = Linear(width, outputs, bias=False)
        nn.init.zeros_(self.g_proj.weight)

    def scored(self, mask: Mask) -> tuple[View, ...]:
        return mask.views()

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        gathered = Softmax().gather(heads, queries, keys, position, mask)
        batch, num_heads, count, _ = gathered.shape
        gates = 2 * self.g_proj(heads.x).view(batch, count, num_heads, -1).transpose(1, 2).sigmoid()
        gated: Tensor = gathered * gates.to(gathered.dtype)
        return gated
