"""Linear attention: keys and values are summed into a state of fixed size, and no logit is ever made.

Shapes: B batch, H heads, Q queries, K keys, D head width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ctxext.kernels import linear
from ctxext.kernels.gather import spread
from ctxext.kernels.norm import at_least_float32
from ctxext.places import Places
from ctxext.seams import Attention, Heads, Mask, Position, Work


@dataclass(frozen=True)
class Linear(Attention):
    """Linear attention (Katharopoulos et al. 2020, 2006.16236): the weight of a key is phi(q) . phi(k) over their sum.

    phi is ELU + 1. A rotation is applied after phi and above the line alone (Su et al. 2021, 2104.09864, equation 19),
    since a turned phi has negative numbers and the sum could be 0. All before in the document is seen.
    """

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        with torch.autocast(heads.q.device.type, enabled=False):
            q, k, v = (at_least_float32(part) for part in (heads.q, heads.k, heads.v))
            num_heads = q.shape[1]
            q, k, v = positive(q), positive(spread(k, num_heads)), spread(v, num_heads)
            undecayed = torch.zeros(num_heads, dtype=q.dtype, device=q.device)
            turned_q, turned_k = position.rotate(q, queries), position.rotate_keys(k, keys)
            gathered = linear.gather(turned_q, turned_k, v, undecayed, keys.documents)
            total = linear.gather(q, k, torch.ones_like(v[..., :1]), undecayed, keys.documents)
            return linear.over(gathered, total).to(heads.v.dtype)

    def work(self, mask: Mask, length: int, width: int) -> Work:
        # A state [D, D + 1], the total among it, is written and read.
        return Work(tuple((view, 0) for view in mask.views()), by_token=2 * width * (width + 1))


def positive(x: Tensor) -> Tensor:
    """Return ELU(x) + 1, above 0 also where ELU rounds to -1."""
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())
