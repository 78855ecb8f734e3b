"""What a layer offers to attention, drawn at random, the rows that it is offered for, and dense oracles.

Shapes: B batch, H heads, Q queries, K keys, S tokens.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ctxext.mask.document import IntraDocument
from ctxext.places import Places
from ctxext.position.rope import Rope
from ctxext.seams import Attention, Heads, Mask, Position, Sizes

SIZES = Sizes(hidden_size=12, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8)
WIDTH = SIZES.head_dim
THETA = 100.0
ROPE = Rope(THETA)


@pytest.fixture
def offered() -> Callable[..., Heads]:
    """Return a function from the number of rows and tokens, and perhaps a type, to what `SIZES` offers for them."""

    def heads(batch: int, length: int, dtype: torch.dtype = torch.float32) -> Heads:
        draw = torch.Generator().manual_seed(length)
        shapes = [(batch, count, length, WIDTH) for count in (4, 2, 2)]
        q, k, v = (torch.randn(shape, generator=draw).to(dtype).requires_grad_() for shape in shapes)
        x = torch.randn(batch, length, SIZES.hidden_size, generator=draw).to(dtype)
        return Heads(q, k, v, (), x, lambda x: (q, k, v))

    return heads


@pytest.fixture
def packed() -> Callable[..., Places]:
    """Return a function from rows of documents' lengths to the places of the rows."""

    def places(*rows: tuple[int, ...]) -> Places:
        documents = [torch.repeat_interleave(torch.arange(len(row)), torch.tensor(row)) for row in rows]
        positions = [torch.cat([torch.arange(length) for length in row]) for row in rows]
        return Places.of(torch.stack(positions), torch.stack(documents))

    return places


@pytest.fixture
def grown() -> Callable[[Attention, int], Attention]:
    """Return a function from settings and a layer to what answers for it in a network of `SIZES`, weights at random."""

    def layer(settings: Attention, index: int) -> Attention:
        part = settings.grown(SIZES, None)
        draw = torch.Generator().manual_seed(index)
        for parameter in getattr(part, "parameters", list)():
            parameter.data.normal_(std=0.5, generator=draw)
        return part.layer(index, SIZES.num_hidden_layers)

    return layer


@pytest.fixture
def compare() -> Callable[..., None]:
    """Return a check: `found` of `heads` is what `meant` gives for q, k, v in double precision, gradients too."""

    def check(found: Tensor, heads: Heads, meant: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        inputs = (heads.q, heads.k, heads.v)
        doubles = [tensor.detach().double().requires_grad_() for tensor in inputs]
        expected = meant(doubles[0], *(double.repeat_interleave(2, dim=1) for double in doubles[1:]))
        towards = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=2e-5)
        gradients = torch.autograd.grad((found * towards).sum(), inputs)
        exact = torch.autograd.grad((expected * towards).sum(), doubles)
        for one, other in zip(gradients, exact, strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-4)

    return check


@pytest.fixture
def last() -> Callable[[Heads, int], Heads]:
    """Return a function from what a layer offers for a row to what it offers for the last tokens, from a cache."""
    return lambda heads, start: replace(heads, q=heads.q[:, :, start:], x=heads.x[:, start:])


@pytest.fixture
def turned() -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function that turns heads [..., S, D] by positions [B, S] as complex numbers, at theta 10000."""

    def turn(heads: Tensor, positions: Tensor) -> Tensor:
        frequencies = 10000.0 ** -(torch.arange(0, WIDTH, 2).double() / WIDTH)
        angles = positions[:, None, :, None].double() * frequencies
        pairs = torch.complex(*heads.double().chunk(2, dim=-1)) * torch.polar(torch.ones_like(angles), angles)
        return torch.cat((pairs.real, pairs.imag), dim=-1)

    return turn


@pytest.fixture
def drawn_heads() -> Callable[..., Heads]:
    """Return a function from a length to the heads of two rows, in double precision and with gradients."""

    def draw(length: int, num_heads: int = 4, num_groups: int = 2, width: int = 8) -> Heads:
        generator = torch.Generator().manual_seed(length)
        x = torch.randn(2, length, 12, dtype=torch.float64, generator=generator)
        sizes = (num_heads, num_groups, num_groups)
        q, k, v = (
            torch.randn(2, size, length, width, dtype=torch.float64, generator=generator).requires_grad_()
            for size in sizes
        )
        return Heads(q, k, v, (), x, lambda states: (q, k, v))

    return draw


@pytest.fixture
def gathered() -> Callable[..., Tensor]:
    """Return a function that gathers `heads` through a mechanism for whole rows at 0, 1, ... or packed documents."""

    def gather(
        attention: Attention,
        heads: Heads,
        documents: Tensor | None = None,
        mask: Mask | None = None,
        position: Position = ROPE,
    ) -> Tensor:
        rows, _, length, _ = heads.k.shape
        positions = torch.arange(length).expand(rows, length)
        if documents is not None:
            documents = documents.expand(rows, length)
            positions = torch.stack([row_positions(row) for row in documents])
        keys = Places.of(positions, documents)
        queries = keys.part(length - heads.q.shape[2], length)
        return attention.gather(heads, queries, keys, position, mask or IntraDocument())

    return gather


def row_positions(documents: Tensor) -> Tensor:
    """Return positions [S] that restart with each document."""
    return torch.cat([torch.arange(int(count)) for count in torch.unique_consecutive(documents, return_counts=True)[1]])


def turned_logits(heads: Heads, distances: Tensor) -> Tensor:
    """Return the logits [B, H, Q, K] of all pairs at `distances` [Q, K]: pairs of a head are complex numbers."""
    half, repeats = heads.q.shape[-1] // 2, heads.q.shape[1] // heads.k.shape[1]
    q, k = (torch.complex(part[..., :half], part[..., half:]) for part in (heads.q, heads.k))
    speeds = THETA ** -(torch.arange(half, dtype=torch.float64) / half)
    phases = torch.polar(torch.ones(1, dtype=torch.float64), distances.double()[..., None] * speeds)
    k = k.repeat_interleave(repeats, 1).conj()
    return torch.einsum("bhqd,bhkd,qkd->bhqk", q, k, phases).real / (2 * half) ** 0.5


@pytest.fixture
def logits() -> Callable[[Heads, Tensor], Tensor]:
    """Return a function to the logits of all pairs of heads at given distances."""
    return turned_logits


@pytest.fixture
def dense() -> Callable[..., Tensor]:
    """Return a function that attends over `visible` pairs at `distances` [Q, K], its logits times `scale`."""

    def attend(heads: Heads, distances: Tensor, visible: Tensor, scale: Tensor | float = 1.0) -> Tensor:
        weights = (turned_logits(heads, distances) * scale).masked_fill(~visible, float("-inf")).softmax(-1)
        return weights @ heads.v.repeat_interleave(heads.q.shape[1] // heads.v.shape[1], 1)

    return attend


@pytest.fixture
def agree() -> Callable[..., None]:
    """Return a function that checks two outputs, and their gradients in q, k and v, to be the same but for rounding."""

    def check(heads: Heads, found: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        parts, weights = (heads.q, heads.k, heads.v), torch.linspace(-1, 1, found.numel()).reshape(found.shape)
        gradients = [torch.autograd.grad((outputs * weights).sum(), parts) for outputs in (found, expected)]
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)

    return check


@pytest.fixture
def last_queries() -> Callable[[Heads, int], Heads]:
    """Return a function that keeps of `heads` the last queries alone, as if all keys before were cached."""
    return lambda heads, count: replace(heads, q=heads.q[:, :, -count:], x=heads.x[:, -count:])
