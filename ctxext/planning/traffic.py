"""Bytes that each rank sends in a step, by collectives that pass parts around a ring.

All-gather and reduce-scatter of M bytes by n ranks send (n - 1) / n M from each, an all-reduce twice that.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from ctxext.planning.outline import FULL, Outline, Step, padded


@dataclass(frozen=True)
class Traffic:
    """Bytes that a rank sends in a step: weights and gradients among shards, gradients among copies, keys and values.

    `keys` are gathered for the queries of each rank; `key_gradients` go back.
    """

    weights: float
    gradients: float
    copies: float
    keys: float
    key_gradients: float

    @property
    def total(self) -> float:
        """All of them."""
        return float(sum(getattr(self, field.name) for field in fields(self)))


def ring(size: float, ranks: int) -> float:
    """Return what each of `ranks` sends so that all have `size` bytes of which each had a part, or the reverse."""
    return size * (ranks - 1) / ranks


def traffic(known: Outline, step: Step) -> Traffic:
    """Return what a rank sends in `step`.

    FSDP gathers a block for each pass and what stands outside of blocks once, and sums gradients after each part; where
    nothing is cut they are summed once.
    """
    shards, copies = step.shards, step.copies
    outside = FULL * padded(known.root, shards)
    inside = FULL * sum(padded(block, shards) for block in known.blocks)
    pairs = key_bytes(known, step)
    sums = step.parts if shards > 1 else 1
    return Traffic(
        weights=step.parts * ring(outside + 2 * inside, shards),
        gradients=step.parts * ring(outside + inside, shards),
        copies=sums * 2 * ring((outside + inside) / shards, copies),
        keys=(2 if step.recomputes else 1) * step.parts * ring(pairs, step.mesh.context),
        key_gradients=step.parts * ring(pairs, step.mesh.context),
    )


def key_bytes(known: Outline, step: Step) -> float:
    """Return the bytes of all layers' keys and values for the rows of a part on a rank, once they are gathered."""
    each = 2 * known.groups * known.head_dim * step.size
    return len(known.blocks) * each * step.tokens * step.mesh.context
