"""Every member in a whole decoder under bfloat16 autocast, as accelerators train, against single precision.

The text is longer than 256 tokens: from there on bfloat16 rounds positions, and a phase or a bias of these is wrong.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from ctxext.attention.block_topk import BlockTopk
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.places import Places
from ctxext.position.alibi import Alibi
from ctxext.position.rope import Rope

GEOMETRY = DecoderGeometry(67, 32, 40, 2, 4, 2, 8, tie_word_embeddings=True, rms_norm_eps=1e-5)
LENGTH, ROUNDED_FROM = 640, 256
TOLERANCE = 0.03
"""Of the hidden states beyond 256 tokens: members lose from 0.005 to 0.025, positions in bfloat16 cost 0.1 and more."""
OF_CHOICES = 0.1
"""Of two blocks that match nearly as well bfloat16 takes now one, now the other."""


def read(position: Any, mask: Any, attention: Any, *, is_mixed: bool) -> tuple[Tensor, list[Tensor]]:
    """Return the hidden states [S, W] of a text, and the gradients of their mean square."""
    torch.manual_seed(0)
    network, draw = GEOMETRY.build(position, mask, attention), torch.Generator().manual_seed(1)
    for name, parameter in network.named_parameters():
        if not name.startswith("learned."):
            parameter.data.normal_(mean=float(parameter.dim() < 2), std=0.2, generator=draw)
    ids = torch.randint(67, (1, LENGTH), generator=torch.Generator().manual_seed(2))
    positions = torch.arange(LENGTH)[None] % (position.limit() or LENGTH)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_mixed):
        hidden = network.hidden(ids, positions)
    hidden.float().square().mean().backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return hidden.detach()[0].double(), gradients


def loss_of_precision(*members: Any) -> float:
    """Return how far hidden states in mixed precision are from those in single precision, a share, in the median."""
    (exact, _), (mixed, gradients) = (read(*members, is_mixed=is_mixed) for is_mixed in (False, True))
    assert mixed.isfinite().all()
    assert len(gradients) > 0
    assert all(gradient.isfinite().all() for gradient in gradients)
    return float(((mixed - exact).norm(dim=-1) / exact.norm(dim=-1))[ROUNDED_FROM:].median())


def test_every_position_keeps_its_precision(each_position):
    assert loss_of_precision(each_position, IntraDocument(), Softmax()) < TOLERANCE


def test_every_mask_keeps_its_precision(each_mask):
    assert loss_of_precision(Rope(10000.0), each_mask, Softmax()) < TOLERANCE


def test_every_attention_keeps_its_precision(each_attention):
    tolerance = OF_CHOICES if isinstance(each_attention, BlockTopk) else TOLERANCE
    assert loss_of_precision(Rope(10000.0), IntraDocument(), each_attention) < tolerance


def rounded(places: Places) -> Places:
    """Return `places` with positions as bfloat16 holds them, where it is in use."""
    is_mixed = torch.is_autocast_enabled("cpu")
    return places.at(places.positions.bfloat16().float()) if is_mixed else places


class RoundedRope(Rope):
    def rotate(self, heads: Tensor, places: Places) -> Tensor:
        return super().rotate(heads, rounded(places))


class RoundedAlibi(Alibi):
    def bias(self, queries: Places, keys: Places, num_heads: int) -> Tensor:
        return super().bias(rounded(queries), rounded(keys), num_heads)


@pytest.mark.parametrize("faulty", [RoundedRope(10000.0), RoundedAlibi()], ids=["phases", "biases"])
def test_positions_in_bfloat16_would_be_found(faulty):
    assert loss_of_precision(faulty, IntraDocument(), Softmax()) > TOLERANCE
    assert loss_of_precision(type(faulty).__base__(*vars(faulty).values()), IntraDocument(), Softmax()) < TOLERANCE
