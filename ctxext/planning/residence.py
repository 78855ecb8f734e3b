"""Bytes that each rank holds at the peak of a step.

Shapes as in `ctxext.planning.outline`; t tokens of a part on a rank, e bytes of a number that is multiplied.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from ctxext.kernels.loss import chunk_rows
from ctxext.planning.outline import FULL, Outline, Step, counted, padded

STREAM = {2: 18, 4: 16}
"""Bytes that a block keeps of a token for each of W: the stream before both halves, and normed for both."""
STATISTICS = 8
"""Bytes that a block keeps of a token for its two norms."""


@dataclass(frozen=True)
class Residence:
    """Bytes on a rank at the peak of a step, by what they are for; `gathered`: weights and gradients not cut."""

    weights: float
    gradients: float
    moments: float
    gathered: float
    activations: float
    loss: float

    @property
    def total(self) -> float:
        """All of them."""
        return float(sum(getattr(self, field.name) for field in fields(self)))


def residence(known: Outline, step: Step) -> Residence:
    """Return what a rank holds at the moment of `step` that takes most."""
    return max(moments_of(known, step), key=lambda found: found.total)


def moments_of(known: Outline, step: Step) -> list[Residence]:
    """Return what a rank holds at the loss, and while the last and the first block's gradients are made.

    Gradients come as what blocks keep goes, unless a part before has left its own. Within a block its own gradients
    take half of what it kept.
    """
    shards = step.shards
    each = [FULL * padded(block, shards) / shards for block in known.blocks]
    outside = FULL * padded(known.root, shards) / shards
    weights = outside + sum(each)
    carried = weights if step.parts > 1 else 0.0
    kept, entry, table = block_bytes(known, step), entering(known, step), FULL * counted((known.table,))
    blocks, whole, block = len(known.blocks), 0.0, 0.0
    if shards > 1:
        whole = FULL * counted(known.root)
        block = FULL * max(map(counted, known.blocks))
    of_block = 3 * block  # its weights, those of the next, and its gradients before the sum
    held = blocks * step.tokens * known.table[1] * FULL if step.recomputes else blocks * kept
    anew = kept if step.recomputes else 0.0
    return [
        Residence(weights, carried, 2 * weights, whole + block, entry + held, loss_bytes(known, step)),
        Residence(weights, max(carried, table), 2 * weights, whole + of_block, entry + held + anew + kept / 2, 0.0),
        Residence(weights, weights, 2 * weights, whole * 2 + of_block, entry + kept * 3 / 2, 0.0),
    ]


def block_bytes(known: Outline, step: Step) -> float:
    """Return what a block keeps of a part for the backward pass.

    Of a token: the stream, four tensors of the gated half [I], queries and outputs [H, D], one number a head, and its
    norms' statistics; of each token of the row's part, gathered where ranks share rows: keys and values [G, D].
    """
    width, size = known.table[1], step.size
    each = STREAM[size] * width + STATISTICS + size * (4 * known.intermediate + 2 * known.heads * known.head_dim)
    pairs = 2 * size * known.groups * known.head_dim * step.mesh.context
    return step.tokens * (each + FULL * known.heads + pairs)


def entering(known: Outline, step: Step) -> float:
    """Return what is kept of a part outside of blocks: the last states, their norm's statistics, tokens' ids."""
    return step.tokens * (FULL * known.table[1] + 12)


def loss_bytes(known: Outline, step: Step) -> float:
    """Return what the fused loss takes for a part: a chunk's logits, two tensors of states, two of the unembedding."""
    vocabulary, width = known.table
    rows = min(step.tokens, chunk_rows(vocabulary))
    logits = rows * vocabulary * (FULL if step.size == FULL else FULL + 2 * step.size)
    return logits + 2 * step.tokens * width * step.size + 2 * FULL * vocabulary * width
