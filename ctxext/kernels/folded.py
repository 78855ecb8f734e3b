"""A bias that falls evenly with the distance, folded into the width of the heads, so that unbiased kernels add it.

Shapes: B batch, H heads, G key-value heads, Q queries, K keys, D head width, P pieces of a slope.

A logit loses slope x (position of the query - position of the key): two products more, if queries hold the slope and
keys the position. Each grows with the position and only their sum is small, so it has to be taken before the rest of
the product is added: these dimensions stand first, and their products are exact (docs/decisions/folded_biases.md).
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.functional import scaled_dot_product_attention as attend

from ctxext.kernels.uncompiled import Uncompiled
from ctxext.places import Places
from ctxext.seams import Position

WIDER = 8
"""By how many dimensions heads grow: as many as vector units like."""
PIECES, BITS = 3, 8
"""A slope is the sum of pieces, of `BITS` bits but for the last: exact in single precision times distances to 2^16."""
FEWEST = 32
"""Queries from which it pays to copy all keys and values; a step of decoding adds its few biases as a mask."""
SCALE = 2.0**-3
"""By which kernels scale folded heads: a power of 2, since torch's backward rounds the products of any other scale."""
PROBED = 768
"""Tokens of the row on which the kernel is tried: from here on torch's takes its largest blocks."""
ROUNDED = 1e-5
"""More than single precision rounds outputs by, and less than logits of thousands do."""

Heads = tuple[Tensor, Tensor, Tensor]


@Uncompiled
def slopes_to_fold(position: Position, q: Tensor) -> Tensor | None:
    """Return the slopes [H] of the bias of `position` if it may be folded into the queries `q` [B, H, Q, D], else None.

    Half precision can't hold positions, and other devices than the CPU may round what they multiply.
    """
    is_fit = q.is_cpu and q.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
    if not is_fit or q.shape[2] < FEWEST:
        return None
    slopes = position.slopes(q.shape[1], q.device)
    return slopes if slopes is not None and sums_in_order() else None


def folded(q: Tensor, k: Tensor, v: Tensor, queries: Places, keys: Places, slopes: Tensor) -> Heads:
    """Return `q` [B, H, Q, D], `k`, `v` [B, G, K, D] with `WIDER` more dimensions, where logits lose what they should.

    That is `slopes` [H] times the distance from the positions of `queries` to those of `keys`. Logits are then `SCALE`
    times the products. Of what is gathered, the first D numbers count.
    """
    width, origins = q.shape[-1], ends(keys)
    at_query = (queries.positions - origins[:, -q.shape[2] :]).to(q.dtype)
    at_key = (keys.positions - origins).to(q.dtype)
    parts = pieces(slopes / SCALE).to(q.dtype)
    # By turns a piece of the slope x the key's position, and what takes the query's away again.
    of_query = torch.stack((torch.ones_like(at_query), -at_query), dim=-1)[:, None, :, None] * parts[:, None, :, None]
    of_key = torch.stack((at_key, torch.ones_like(at_key)), dim=-1)[:, None].repeat(1, 1, 1, PIECES)
    spare = WIDER - 2 * PIECES
    before_q, before_k = pad(of_query.flatten(3), (0, spare)), pad(of_key, (0, spare)).expand(*k.shape[:3], WIDER)
    scaled = q * (width**-0.5 / SCALE)
    return torch.cat((before_q, scaled), dim=-1), torch.cat((before_k, k), dim=-1), pad(v, (0, WIDER))


def ends(keys: Places) -> Tensor:
    """Return where the last token of each key's document stands [B, K].

    Far from there, a block of two or three queries would be inexact; at the end of a document one may be left over.
    """
    if keys.documents is None:
        return keys.positions[:, -1:].expand(keys.positions.shape)
    return keys.positions.gather(1, torch.arange(keys.columns.shape[0]) - keys.ordinals + keys.lengths - 1)


def pieces(numbers: Tensor) -> Tensor:
    """Return `numbers` [...] as sums of pieces [..., P] of `BITS` bits each but the last, the largest first."""
    rest, found = numbers.double(), []
    for _ in range(PIECES - 1):
        mantissa, exponent = torch.frexp(rest)
        found.append(torch.ldexp(torch.round(mantissa * 2**BITS), exponent - BITS))
        rest = rest - found[-1]
    return torch.stack((*found, rest), dim=-1)


@cache
def sums_in_order() -> bool:
    """Return whether attention adds up products in their order on this machine, tried where positions are far apart.

    Else what is folded would round logits by the position, and not by the distance.
    """
    draw, half = torch.Generator().manual_seed(0), torch.arange(PROBED // 2)
    row = Places.of(torch.cat((half, half + 2**15))[None])
    with torch.inference_mode(False), torch.enable_grad():
        q, k, v = (torch.randn(1, 1, PROBED, 64, generator=draw) for _ in range(3))
        wide = folded(q, k, v.requires_grad_(), row, row, torch.tensor([1 / 3]))
        found, exact = tried(*wide), tried(*(heads.double() for heads in wide))
    return bool((found - exact).abs().max() < ROUNDED)


def tried(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return outputs and the gradient of `v` [2, B, H, S, D]: torch's backward makes the weights anew."""
    outputs = attend(q, k, v, is_causal=True, scale=SCALE)
    return torch.stack((outputs, *torch.autograd.grad(outputs.sum(), v)))
