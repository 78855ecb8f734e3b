"""The loss fused with the unembedding: full logits [N, V] are never made.

Shapes: N rows (tokens), C those of a chunk, W model width, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ctxext.kernels.norm import at_least_float32
from ctxext.kernels.product import add_product, summed, written

CHUNK = 256
"""Rows whose logits are held at once, at most."""
FEWEST = 128
"""Rows whose logits are held at once however large the vocabulary: products of fewer are slow."""
BUFFER = 48 * 2**20
"""Bytes that the logits of more rows than that take at most, in float32."""


def chunk_rows(vocabulary: int) -> int:
    """Return how many rows' logits are held at once where each has `vocabulary` of them."""
    return min(CHUNK, max(FEWEST, BUFFER // (4 * vocabulary)))


class Unembedding(NamedTuple):
    """What turns hidden states into logits: `weight` [V, W], `bias` [V] or None, and `cap`.

    A cap c above 0 bounds the logits: z becomes c tanh(z / c).
    """

    weight: Tensor
    bias: Tensor | None
    cap: float

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits [..., V] of the states `hidden` [..., W] in float32, or wider if these are."""
        logits = at_least_float32(hidden @ self.weight.to(hidden.dtype).T)
        if self.bias is not None:
            logits = logits + self.bias.to(logits.dtype)
        return (logits / self.cap).tanh() * self.cap if self.cap else logits


def fused_loss(hidden: Tensor, unembedding: Unembedding, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the mean over counted rows of -log P(target), differentiable in `hidden` and the `unembedding`.

    `hidden` [N, W], `targets` [N] ids, `weights` [N]: how much a row counts, not all 0. A row of weight 0 is not
    looked at. The gradient at the logits is (P - onehot(target)) x weight / sum of weights, made in the forward pass.
    """
    if torch.is_grad_enabled():
        loss: Tensor = FusedLoss.apply(hidden, *unembedding, targets, weights)  # type: ignore[no-untyped-call]
        return loss
    counted = weights.nonzero()[:, 0]
    nll, _ = token_scores(hidden[counted], unembedding, targets[counted])
    return nll @ shares(weights, nll.dtype)[counted]


def shares(weights: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the part of each of `weights` [N] in their sum, in `dtype`."""
    return weights.to(dtype) / weights.to(dtype).sum()


class Chunk(NamedTuple):
    """Some rows: their `places` [C] among all, their `states` [C, W] and `logits` [C, V], to be overwritten."""

    places: Tensor
    states: Tensor
    logits: Tensor

    def surprise(self, targets: Tensor, highest: Tensor) -> tuple[Tensor, Tensor]:
        """Return -log P of `targets` [C, 1] as [C], and the sums [C, 1] of the exponentials, which the logits become.

        `highest` [C, 1] are the largest logits.
        """
        self.logits.sub_(highest)
        at_target = self.logits.gather(1, targets)
        total = self.logits.exp_().sum(dim=-1, keepdim=True)
        return (total.log() - at_target)[:, 0], total


class Chunks:
    """The logits of `hidden` [N, W], a chunk of rows at a time, all in the same memory: `exact`, in float32 or wider.

    `table` [V, W] is the weight in the type of `hidden`, and `products` [C, V] are of that type: the same memory as
    `exact`, unless the type is a shorter one.
    """

    def __init__(self, hidden: Tensor, unembedding: Unembedding) -> None:
        self.hidden, self.bias, self.cap = hidden, unembedding.bias, unembedding.cap
        self.table = unembedding.weight.to(hidden.dtype)
        vocabulary = self.table.shape[0]
        self.products = hidden.new_empty(min(hidden.shape[0], chunk_rows(vocabulary)), vocabulary)
        exact = torch.promote_types(hidden.dtype, torch.float32)
        self.exact = self.products if exact == hidden.dtype else torch.empty_like(self.products, dtype=exact)

    def of(self, counted: Tensor) -> Iterator[Chunk]:
        """Yield the chunks of the rows `counted`; each takes the place of the one before."""
        for places in torch.split(counted, chunk_rows(self.table.shape[0])):
            states = self.hidden[places]
            logits = self.exact[: len(places)]
            product = written(states, self.table, self.products[: len(places)])
            if product.dtype != logits.dtype:
                logits.copy_(product)
            if self.bias is not None:
                logits += self.bias
            if self.cap:
                logits.div_(self.cap).tanh_().mul_(self.cap)
            yield Chunk(places, states, logits)


class Gradients:
    """The gradients at the states, the weight and the bias that are `wanted`, a chunk's added at a time."""

    def __init__(self, chunks: Chunks, weight: Tensor, wanted: Sequence[bool]) -> None:
        self.chunks = chunks
        self.hidden = torch.zeros_like(chunks.hidden) if wanted[0] else None
        self.weight = torch.zeros_like(weight) if wanted[1] else None
        self.bias = torch.zeros_like(chunks.bias) if chunks.bias is not None and wanted[2] else None
        is_cast = wanted[1] and weight.dtype != chunks.table.dtype
        self.product = torch.empty_like(chunks.table) if is_cast else None

    def add(self, chunk: Chunk) -> None:
        """Add what `chunk`, whose logits have become their gradient, gives."""
        gradient, table = self.chunks.products[: len(chunk.places)], self.chunks.table
        if gradient.dtype != chunk.logits.dtype:
            gradient.copy_(chunk.logits)
        if self.hidden is not None:
            self.hidden.index_copy_(0, chunk.places, summed(gradient, table.T))
        if self.product is not None and self.weight is not None:
            self.weight += torch.mm(gradient.T, chunk.states, out=self.product)
        elif self.weight is not None:
            add_product(self.weight, gradient.T, chunk.states.T)
        if self.bias is not None:
            self.bias += chunk.logits.sum(dim=0)


class FusedLoss(torch.autograd.Function):
    """Three products a chunk (logits, two gradients), fewer where one isn't wanted; none is made twice."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, cap: float, targets: Tensor, weights: Tensor
    ) -> Tensor:
        chunks = Chunks(hidden, Unembedding(weight, bias, cap))
        gradients = Gradients(chunks, weight, ctx.needs_input_grad)
        slopes = torch.empty_like(chunks.exact) if cap else None  # of the hyperbolic tangent
        share = shares(weights, chunks.exact.dtype)
        loss = torch.zeros((), dtype=share.dtype, device=share.device)
        for chunk in chunks.of(weights.nonzero()[:, 0]):
            logits, own, picked = chunk.logits, share[chunk.places], targets[chunk.places, None]
            if slopes is not None:
                torch.square(logits, out=slopes[: len(logits)]).mul_(-1 / cap**2).add_(1)
            nll, total = chunk.surprise(picked, logits.amax(dim=-1, keepdim=True))
            loss += nll @ own
            # In place, the exponentials become (P - onehot) x share.
            logits *= own[:, None] / total
            logits.scatter_add_(1, picked, -own[:, None])
            if slopes is not None:
                logits *= slopes[: len(logits)]
            gradients.add(chunk)
        ctx.save_for_backward(gradients.hidden, gradients.weight, gradients.bias)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (*(None if kept is None else kept * gradient for kept in ctx.saved_tensors), None, None, None)


@torch.no_grad()
def token_scores(hidden: Tensor, unembedding: Unembedding, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return -log P(target) in nats [N], in float32 or wider, and whether the target is likeliest [N].

    Of equals, the lowest id is.
    """
    chunks, every = Chunks(hidden, unembedding), torch.arange(len(targets), device=targets.device)
    nll = hidden.new_empty(len(targets), dtype=chunks.exact.dtype)
    hit = torch.empty_like(targets, dtype=torch.bool)
    for chunk in chunks.of(every):
        picked = targets[chunk.places, None]
        best = chunk.logits.argmax(dim=-1, keepdim=True)  # of equals, the first
        hit[chunk.places] = (best == picked)[:, 0]
        nll[chunk.places] = chunk.surprise(picked, chunk.logits.gather(1, best))[0]
    return nll, hit
