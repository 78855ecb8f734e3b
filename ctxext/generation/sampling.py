"""How the next token is chosen from the logits.

Shapes: V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ctxext.maths.counted import generator


@dataclass(frozen=True)
class Sampling:
    """Logits over `temperature` (0 is greedy), of them the `top_k` largest (0 for all), of these the share `top_p`.

    The draw of each token is named by `seed` and by how many were drawn before it.
    """

    temperature: float
    top_k: int
    top_p: float
    seed: int

    def choose(self, logits: Tensor, count: int) -> int:
        """Return the next token for `logits` [V], where `count` were chosen before."""
        if self.temperature == 0:
            return int(logits.argmax())
        cumulated = self.probabilities(logits).cumsum(dim=0)
        point = generator(self.seed, "token", count).random() * float(cumulated[-1])
        token = int(torch.searchsorted(cumulated, torch.tensor(point, dtype=cumulated.dtype), right=True))
        # The product above may round up to the sum itself, behind which no token stands.
        return min(token, int(torch.searchsorted(cumulated, cumulated[-1])))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return with which probability each token is drawn for `logits` [V], double [V] on the CPU."""
        exact = logits.detach().double().cpu()
        # The largest is 0, however small the temperature; one too small for full precision would be taken for 0.
        scaled = (exact - exact.max()) / max(self.temperature, torch.finfo(exact.dtype).tiny)
        if 0 < self.top_k < scaled.shape[0]:
            scaled = scaled.masked_fill(scaled < scaled.topk(self.top_k).values[-1], float("-inf"))
        share = scaled.softmax(dim=0)
        if self.top_p < 1:
            share = nucleus(share, self.top_p)
        return share / share.sum()


def nucleus(share: Tensor, top_p: float) -> Tensor:
    """Return the shares [V] of the likeliest tokens that together reach `top_p`, at least one, and 0 for the others."""
    ranked, order = share.sort(descending=True, stable=True)
    before = ranked.cumsum(dim=0) - ranked
    return torch.zeros_like(share).scatter(0, order, ranked * ((before < top_p) | (before == 0)))
