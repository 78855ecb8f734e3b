"""Linear attention: keys and values are summed into a state of fixed size, and no logit is ever made.

Shapes: B batch, H heads, Q queries, K keys, D head width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ctxext.kernels import linear
from ctxext.kernels.fused import spread
from ctxext.kernels.norm import at_least_float32
from ctxext.places import Places
from ctxext.seams import Attention, Heads, Mask, Position, State, View, Work


@dataclass(frozen=True)
class Linear(Attention):
    """Linear attention (Katharopoulos et al. 2020, 2006.16236): the weight of a key is phi(q) . phi(k) over their sum.

    phi is ELU + 1. A rotation is applied after phi and above the line alone (Su et al. 2021, 2104.09864, equation 19),
    since a turned phi has negative numbers and the sum could be 0. All before in the document is seen.
    """

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        with torch.autocast(heads.q.device.type, enabled=False):
            q, k, v, ones = featured(heads)
            undecayed = torch.zeros(q.shape[1], dtype=q.dtype, device=q.device)
            turned_q, turned_k = position.rotate(q, queries), position.rotate_keys(k, keys)
            gathered = linear.gather(turned_q, turned_k, v, undecayed, keys.documents)
            total = linear.gather(q, k, ones, undecayed, keys.documents)
            return linear.over(gathered, total).to(heads.v.dtype)

    def carried(self, mask: Mask) -> tuple[View, ...]:
        return ()

    def carry(
        self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask, state: State
    ) -> tuple[Tensor, State]:
        with torch.autocast(heads.q.device.type, enabled=False):
            q, k, v, ones = featured(heads)
            undecayed = torch.zeros(q.shape[1], dtype=q.dtype, device=q.device)
            sums, totals = state or (linear.nothing(k, v), linear.nothing(k, ones))
            turned_q, turned_k = position.rotate(q, queries), position.rotate_keys(k, keys)
            gathered, sums = linear.carried(turned_q, turned_k, v, undecayed, sums)
            total, totals = linear.carried(q, k, ones, undecayed, totals)
            return linear.over(gathered, total).to(heads.v.dtype), (sums, totals)

    def work(self, mask: Mask, length: int, width: int) -> Work:
        # A state [D, D + 1], the total among it, is written and read.
        return Work(tuple((view, 0) for view in mask.views()), by_token=2 * width * (width + 1))


def featured(heads: Heads) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return phi of queries and keys, the values, and a value of 1 for each key, by head, at least in float32."""
    q, k, v = (at_least_float32(part) for part in (heads.q, heads.k, heads.v))
    v = spread(v, q.shape[1])
    return positive(q), positive(spread(k, q.shape[1])), v, torch.ones_like(v[..., :1])


def positive(x: Tensor) -> Tensor:
    """Return ELU(x) + 1, above 0 also where ELU rounds to -1."""
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())
