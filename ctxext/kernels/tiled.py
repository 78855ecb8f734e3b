"""One softmax over many tiles of pairs: each is scored by the fused function, and no scores are ever kept.

Shapes: B batch, H heads, G key-value heads, Q queries, K keys, D head width.

The tiles of a query are put together by the logarithms of their total weights. With the outputs and logarithms of all
tiles together, the fused backward of each gives its exact share of the gradients.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention as attend

from ctxext.kernels import fused
from ctxext.kernels.tiles import BLOCK, Tile, floats, unmasked

Heads = tuple[Tensor, Tensor, Tensor]
"""Queries [B, H, Q, D], keys and values [B, G, K, D]."""
Plan = Sequence[Iterable[Tile]]
"""The tiles of each source of heads."""
ALL_HEADS = slice(None)


def tiled(sources: Sequence[Heads], plan: Plan, scale: float) -> Tensor:
    """Return the outputs [B, H, Q, D] of one softmax over all tiles that the `plan` has for each of `sources`.

    `scale` times the products of heads are the logits.
    """
    q, _, v = sources[0]
    if q.shape[2] <= BLOCK:
        plan = [list(tiles) for tiles in plan]
        whole = [(heads, tile) for heads, tiles in zip(sources, plan, strict=True) for tile in tiles]
        if len(whole) == 1 and whole[0][1].queries == slice(0, q.shape[2]):
            return alone(*whole[0], scale)
    every = list({id(part): part for heads in sources for part in heads}.values())
    if not (torch.is_grad_enabled() and any(part.requires_grad for part in every)):
        return gathered(sources, plan, scale)[0].to(v.dtype)
    index = {id(part): number for number, part in enumerate(every)}
    where = [tuple(index[id(part)] for part in heads) for heads in sources]
    outputs: Tensor = Tiled.apply(plan, scale, where, *every)  # type: ignore[no-untyped-call]
    return outputs


def alone(heads: Heads, tile: Tile, scale: float) -> Tensor:
    """Return the outputs [B, H, Q, D] of the one `tile` in which all queries stand."""
    q, (k, v) = heads[0], (part[tile.rows, :, tile.keys] for part in heads[1:])
    mask, is_shared = mask_of(tile, q), q.shape[1] != k.shape[1]
    return attend(q, k, v, attn_mask=mask, is_causal=tile.is_causal, scale=scale, enable_gqa=is_shared)


class Tiled(torch.autograd.Function):
    """The softmax over a plan of tiles; heads that several sources share come once, `where` tells which are whose."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, scale: float, where: list[tuple[int, ...]], *every: Tensor) -> Tensor:
        """Return the outputs [B, H, Q, D] of the heads `every`."""
        sources = [(every[q], every[k], every[v]) for q, k, v in where]
        outputs, totals, ctx.tiles = gathered(sources, plan, scale)
        outputs = outputs.to(sources[0][2].dtype)
        ctx.scale, ctx.where = scale, where
        ctx.save_for_backward(outputs, totals, *every)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the heads."""
        outputs, totals, *every = ctx.saved_tensors
        wanted = ctx.needs_input_grad[3:]
        sums = [torch.zeros_like(part) if wants else None for part, wants in zip(every, wanted, strict=True)]
        gradient = gradients[0] if gradients[0].stride(-1) == 1 else gradients[0].contiguous()
        totals = totals.masked_fill(totals.isneginf(), 0.0)  # of a query that sees nothing
        for source, tile in ctx.tiles:
            where, places = ctx.where[source], places_of(tile)
            q, k, v = (every[index][place] for index, place in zip(where, places, strict=True))
            here, pairs = places[0], fused.Pairs(tile.is_causal, mask_of(tile, q), ctx.scale)
            shares = fused.backward(gradient[here], q, k, v, outputs[here], totals[here], pairs)
            for index, place, share in zip(where, places, shares, strict=True):
                total = sums[index]
                if total is not None:
                    total[place] += share
        return None, None, None, *sums


Place = tuple[slice, slice, slice]


def places_of(tile: Tile) -> tuple[Place, Place, Place]:
    """Return where the queries, keys and values of `tile` are."""
    there = tile.rows, ALL_HEADS, tile.keys
    return (tile.rows, ALL_HEADS, tile.queries), there, there


def gathered(sources: Sequence[Heads], plan: Plan, scale: float) -> tuple[Tensor, Tensor, list[tuple[int, Tile]]]:
    """Return outputs [B, H, Q, D], at least in float32, logarithms of total weights [B, H, Q], and all tiles.

    With each tile comes the number of its source.
    """
    q, _, v = sources[0]
    batch, num_heads, count, _ = q.shape
    dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
    # Laid out as the fused function lays out its own, so that heads can be joined without a copy.
    outputs = torch.zeros(batch, count, num_heads, v.shape[-1], dtype=dtype, device=q.device).transpose(1, 2)
    totals = torch.full((batch, count, num_heads), float("-inf"), dtype=dtype, device=q.device).transpose(1, 2)
    done: list[tuple[int, Tile]] = []
    for source, (heads, tiles) in enumerate(zip(sources, plan, strict=True)):
        for tile in tiles:
            done.append((source, unmasked(tile)))
            places = places_of(tile)
            part_q, part_k, part_v = (part[place] for part, place in zip(heads, places, strict=True))
            mask = mask_of(tile, q)
            found, logarithms = fused.forward(part_q, part_k, part_v, fused.Pairs(tile.is_causal, mask, scale))
            if tile.pairs is not None and mask is not None:  # the fused function gives 0 where there is nothing
                logarithms = logarithms.masked_fill(mask.amax(dim=-1).isneginf(), float("-inf"))
            put(outputs[places[0]], totals[places[0]], found, logarithms)
    return outputs, totals, done


def put(outputs: Tensor, totals: Tensor, found: Tensor, logarithms: Tensor) -> None:
    """Add what was `found` [B, H, Q, D], of total weights by their `logarithms` [B, H, Q], to what is there."""
    if bool(totals.isneginf().all()):
        outputs.copy_(found)
        totals.copy_(logarithms)
        return
    together = torch.logaddexp(totals, logarithms)
    common = together.masked_fill(together.isneginf(), 0.0)
    outputs.mul_((totals - common).exp_()[..., None]).addcmul_(found, (logarithms - common).exp_()[..., None])
    totals.copy_(together)


def mask_of(tile: Tile, heads: Tensor) -> Tensor | None:
    """Return what is added to the logits of `tile`, if anything, in the type that `heads` need."""
    mask = tile.mask if tile.mask is not None or tile.pairs is None else tile.pairs()
    return None if mask is None else floats(mask, torch.float64 if heads.dtype == torch.float64 else torch.float32)
