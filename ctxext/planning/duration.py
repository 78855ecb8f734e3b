"""How long a step takes on a machine that isn't there: operations and bytes, each by its own speed."""

from __future__ import annotations

from dataclasses import dataclass

from ctxext.parallel.settings import Parallel
from ctxext.planning.outline import FULL, Outline, Step, flops, padded
from ctxext.planning.settings import Hardware
from ctxext.planning.traffic import Traffic

UPDATE = 7
"""Numbers of float32 that AdamW moves for a weight: it reads weight, gradient and moments, and writes all but one."""


@dataclass(frozen=True)
class Duration:
    """Seconds of a step: products, what is sent, and the update of the weights."""

    products: float
    sending: float
    update: float

    @property
    def least(self) -> float:
        """Where all that is sent is sent beside products."""
        return max(self.products, self.sending) + self.update

    @property
    def most(self) -> float:
        """Where nothing is."""
        return self.products + self.sending + self.update


def duration(known: Outline, step: Step, sent: Traffic, machine: Hardware) -> Duration:
    """Return how long `step` takes on `machine`, where a rank sends what `sent` says."""
    mesh = step.mesh
    sharing = speed(machine, mesh.shard * mesh.context)
    sending = (
        (sent.weights + sent.gradients) / sharing
        + sent.copies / speed(machine, mesh.size if mesh.data > 1 else mesh.context)
        + (sent.keys + sent.key_gradients) / speed(machine, mesh.context)
    )
    shards = step.shards
    own = (padded(known.root, shards) + sum(padded(block, shards) for block in known.blocks)) / shards
    return Duration(
        products=flops(known, step) / (machine.flops * machine.utilisation),
        sending=sending,
        update=UPDATE * FULL * own / machine.memory_bandwidth,
    )


def speed(machine: Hardware, span: int) -> float:
    """Return the bytes a second that a GPU sends where neighbours on the ring are among `span` ranks in a row.

    Ranks in a row share nodes: those of `context` are nearest, then those of `shard`, then those of `data`.
    """
    return machine.link_bandwidth if span <= machine.node else machine.network_bandwidth


def nodes(machine: Hardware, mesh: Parallel) -> int:
    """Return how many nodes of `machine` the `mesh` takes."""
    return -(-mesh.size // machine.node)
