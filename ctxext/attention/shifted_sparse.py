"""Shifted sparse attention: while training, tokens see their group alone, and half of the heads group them otherwise.

Shapes: B batch, H heads, G key-value heads, S tokens, Q queries, K keys, D head width.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as attend

from ctxext.attention.softmax import Softmax
from ctxext.kernels.fused import spread
from ctxext.kernels.gather import gather, is_biased, is_plain_causal
from ctxext.places import Places
from ctxext.refusal import Refusal, check_types, require
from ctxext.seams import Attention, Heads, Mask, Position, Sizes, View


@dataclass(frozen=True)
class ShiftedSparse(Softmax):
    """Shifted sparse attention (LongLoRA, Chen et al. 2023, 2309.12307): groups of `group` tokens while training.

    The second half of the heads has its groups shifted by half a group. The published roll joins the text's end to its
    beginning; here these stay apart, so that nothing looks ahead. Evaluation is softmax attention.
    """

    group: int

    def __post_init__(self) -> None:
        check_types(self, "attention")
        even = self.group >= 2 and self.group % 2 == 0
        require(even, f"attention.group must be an even number of tokens, at least 2, got {self.group}")

    def grown(self, sizes: Sizes, before: Attention | None) -> Attention:
        if sizes.num_attention_heads < 2:
            raise Refusal(
                "attention=shifted_sparse shifts half of the heads; model.num_attention_heads must be above 1"
            )
        return self

    def in_training(self) -> Attention:
        return Grouped(self.group)

    def base(self) -> Attention:
        return Softmax()

    def off(self, length: int) -> Attention:
        return replace(self, group=max(2 * length, 2))


class Grouped(Attention):
    """What stands in for `ShiftedSparse` in training."""

    def __init__(self, group: int) -> None:
        self.group = group

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        views, num_keys = mask.views(), heads.k.shape[2]
        if is_plain_causal(views, queries, num_keys) and not is_biased(position) and num_keys > self.group // 2:
            return self.by_pieces(position.rotate(heads.q, queries), position.rotate_keys(heads.k, keys), heads.v)
        if num_keys > self.group // 2:  # else all is one group in every head
            views = tuple(self.grouped(view, heads.q.shape[1]) for view in views)
        return gather(heads.q, heads.k, heads.v, queries, keys, views, position, None)

    def by_pieces(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the outputs [B, H, S, D] of turned `q` [B, H, S, D], `k` and `v` [B, G, S, D], a group a batch row."""
        plain = q.shape[1] - q.shape[1] // 2
        heads = q, spread(k, q.shape[1]), spread(v, q.shape[1])
        unshifted = in_groups([part[:, :plain] for part in heads], self.group, self.group)
        return torch.cat(
            (unshifted, in_groups([part[:, plain:] for part in heads], self.group // 2, self.group)), dim=1
        )

    def grouped(self, view: View, num_heads: int) -> View:
        """Return the pairs of `view` that are of one group, by head."""

        def visible(queries: Places, keys: Places) -> Tensor:
            shift = shifts_on(queries.columns.device, num_heads, self.group)
            query_groups, key_groups = ((places.ordinals[:, None] + shift) // self.group for places in (queries, keys))
            return view.visible(queries, keys) & (query_groups[..., :, None] == key_groups[..., None, :])

        return replace(view, visible=visible, reach=view.reach.part())


@lru_cache(maxsize=8)
def shifts_on(device: torch.device, num_heads: int, group: int) -> Tensor:
    """Return by how much the groups of each head are shifted [H, 1] on `device`."""
    half = num_heads // 2
    return torch.tensor([0] * (num_heads - half) + [group // 2] * half, device=device)[:, None]


def in_groups(heads: list[Tensor], first: int, group: int) -> Tensor:
    """Return the causal outputs [B, H, S, D] of q, k, v [B, H, S, D] within groups, the first one of `first` tokens."""
    length = heads[0].shape[2]
    bounds = [0, *range(first, length, group), length]
    sizes = [stop - start for start, stop in pairwise(bounds)]
    # Split as a whole: the gradient of each slice would be of full size.
    groups = zip(*(torch.split(part, sizes, dim=2) for part in heads), strict=True)
    return torch.cat([attend(q, k, v, is_causal=True) for q, k, v in groups], dim=2)
