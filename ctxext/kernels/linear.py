"""Attention without softmax as a sum that decays: o_t = the sum over s <= t of decay^(t - s) (q_t . k_s) v_s.

Shapes: B batch, H heads, Q queries (the keys' last Q columns), K keys, D head width, E width of the values.

The sum over the keys of a chunk is written out, that over all chunks before is carried as a state: time and memory grow
with the length times CHUNK. Decays are powers of distances within a chunk, which are never negative, so that nothing
overflows: decay^(-s), into which decay^(t - s) is split elsewhere, does.
"""

from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 128
"""Queries scored at once."""


class State(NamedTuple):
    """What is carried on: `sums` [B, H, D, E] of decayed k v^T over the last token's document `document` [B, 1]."""

    sums: Tensor
    document: Tensor


def gather(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, documents: Tensor | None) -> Tensor:
    """Return the outputs [B, H, Q, E] for `q` [B, H, Q, D], `k` [B, H, K, D] and `v` [B, H, K, E].

    `log_decay` [H] is the logarithm of each head's decay a token; `documents` [B, K], rising, are kept apart.
    """
    num_queries, num_keys = q.shape[2], k.shape[2]
    documents = torch.zeros(1, num_keys, dtype=torch.int64, device=q.device) if documents is None else documents
    state, outputs, first = None, [], 0  # the keys before the first query are scored with the first chunk
    for start in range(0, num_queries, CHUNK):
        stop = min(start + CHUNK, num_queries)
        last = num_keys - num_queries + stop
        here, keys, values, there = (
            q[:, :, start:stop],
            k[:, :, first:last],
            v[:, :, first:last],
            documents[:, first:last],
        )
        output = scored(here, keys, values, log_decay, there)
        outputs.append(output if state is None else output + read(state, here, log_decay, there))
        if last < num_keys:
            state = extended(state, keys, values, log_decay, there)
        first = last
    return torch.cat(outputs, dim=2)


def nothing(k: Tensor, v: Tensor) -> Tensor:
    """Return the sums [B, H, D, E] before the first of `k` [B, H, K, D] and `v` [B, H, K, E]."""
    return k.new_zeros(*k.shape[:2], k.shape[-1], v.shape[-1])


def carried(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs [B, H, Q, E] for tokens of documents that go on, and the `sums` [B, H, D, E] after them.

    `sums` are those before `q` and `k` [B, H, Q, D] and `v` [B, H, Q, E], at first 0.
    """
    if q.shape[2] == 1:
        sums = sums * log_decay.exp()[:, None, None] + k.transpose(-1, -2) @ v
        return q @ sums, sums
    one = torch.zeros(1, 1, dtype=torch.int64, device=q.device)
    state, outputs = State(sums, one), []
    for here, keys, values in zip(*(torch.split(part, CHUNK, dim=2) for part in (q, k, v)), strict=True):
        there = one.expand(1, here.shape[2])
        outputs.append(scored(here, keys, values, log_decay, there) + read(state, here, log_decay, there))
        state = extended(state, keys, values, log_decay, there)
    return torch.cat(outputs, dim=2), state.sums


def scored(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, documents: Tensor) -> Tensor:
    """Return the outputs [B, H, Q, E] over the keys `k` alone, by all Q x K products."""
    columns = torch.arange(k.shape[2], device=k.device)
    here = columns[columns.shape[0] - q.shape[2] :]
    gap = here[:, None] - columns
    together = documents[:, here, None] == documents[:, None, :]
    weights = decayed(log_decay, gap.clamp(min=0)) * ((gap >= 0) & together)[:, None]
    return (q @ k.transpose(-1, -2) * weights) @ v


def read(state: State, q: Tensor, log_decay: Tensor, documents: Tensor) -> Tensor:
    """Return what `q` [B, H, Q, D], of the tokens right after the `state`, gather from it [B, H, Q, E]."""
    distance = torch.arange(1, q.shape[2] + 1, device=q.device)
    weights = decayed(log_decay, distance) * (documents == state.document)[:, None]
    return (q * weights[..., None]) @ state.sums


def extended(state: State | None, k: Tensor, v: Tensor, log_decay: Tensor, documents: Tensor) -> State:
    """Return the `state` after the keys `k` [B, H, K, D] and values `v` [B, H, K, E] of the tokens right after it."""
    document = documents[:, -1:]
    distance = torch.arange(k.shape[2] - 1, -1, -1, device=k.device)
    weights = decayed(log_decay, distance) * (documents == document)[:, None]
    sums = (k * weights[..., None]).transpose(-1, -2) @ v
    if state is None:
        return State(sums, document)
    kept = (log_decay * k.shape[2]).exp()[:, None] * (state.document == document)[:, None]
    return State(sums + kept[..., None] * state.sums, document)


def over(sums: Tensor, total: Tensor) -> Tensor:
    """Return `sums` [B, H, Q, E] over their `total` [B, H, Q, 1], and 0 with gradient 0 where no weight is left."""
    left = total >= torch.finfo(total.dtype).tiny
    return sums * left / total.where(left, 1.0)


def decayed(log_decay: Tensor, distance: Tensor) -> Tensor:
    """Return each head's decay to the power of `distance` [...], [H, ...]."""
    return (log_decay.view(-1, *[1] * distance.dim()) * distance).exp()
