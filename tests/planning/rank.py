"""One of several processes that train a tiny decoder as `train` does, and count what they send, compute and hold.

python rank.py RANK CASE FOLDER, where CASE is one of `CASES`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ctxext.attention.softmax import Softmax
from ctxext.data.rows import Batch
from ctxext.kernels import product
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.parallel.mesh import Mesh, sharing_rows
from ctxext.parallel.settings import Parallel
from ctxext.position.rope import Rope
from ctxext.training.loop import accumulate_gradients
from ctxext.training.optimiser import make_optimiser
from ctxext.training.settings import Trainer
from ctxext.training.shares import spread

WIDE = DecoderGeometry(500, 64, 176, 4, 4, 2, 16, False, 1e-5)
LENGTH = 256


class Case(NamedTuple):
    """A mesh, the rows of a step, the parts they are cut into, and whether blocks are computed again."""

    mesh: Parallel
    rows: int = 2
    parts: int = 1
    recomputes: bool = False


CASES = {
    "alone": Case(Parallel()),
    "data": Case(Parallel(data=2)),
    "shard": Case(Parallel(shard=2)),
    "context": Case(Parallel(context=2)),
    "again": Case(Parallel(shard=2), rows=4, parts=2, recomputes=True),
    "both": Case(Parallel(shard=2, context=2), recomputes=True),
}
SHARES = {"_allgather_base_": 1, "_reduce_scatter_base_": 1, "allreduce_": 2, "allgather_": 2, "reduce_scatter_": 2}
"""How often a rank passes on half of the largest tensor that it hands over, around a ring of two.

What is gathered or scattered as a list has tensors of half the size.
"""


class Sent(TorchDispatchMode):
    """Counts the bytes that collectives around a ring of two send from this rank, as torch hands them over."""

    def __init__(self) -> None:
        super().__init__()
        self.found = dict.fromkeys(SHARES, 0.0)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._opname
        if function.namespace == "c10d" and name in SHARES:
            tensors = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
            self.found[name] += SHARES[name] * max(tensor.nbytes for tensor in tensors) / 2
        return function(*args, **(kwargs or {}))


def peak(profiler: Any) -> int:
    """Return the largest sum of allocations less releases that `profiler` saw, in bytes."""
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def own_bytes(network: Any) -> int:
    """Return the bytes of this process's part of the weights of `network`."""
    parts = [getattr(part, "_local_tensor", part) for part in network.parameters()]
    return sum(part.numel() * 4 for part in parts)


def count(case: Case, mesh: Mesh) -> dict[str, Any]:
    """Take steps of `case` in this process of `mesh`, and return what was counted."""
    torch.manual_seed(0)
    network: Any = WIDE.build(Rope(10000.0), IntraDocument(), Softmax()).train()
    tokens = torch.randint(0, 500, (case.rows, LENGTH))
    positions, weights = torch.arange(LENGTH).expand(case.rows, -1), torch.ones(tokens.shape)
    batch = Batch(tokens, tokens, weights, positions, None, [str(row) for row in range(case.rows)])
    settings = Trainer(2, 1, case.parts, 0.01, 0.1, 0, 0.1, 0.9, 0.95, 1.0, 1, 2, "auto", "fp32", case.recomputes)
    told: dict[str, Any] = {}
    with spread(network, make_optimiser(network, settings), settings, mesh) as (training, optimiser):
        training.gradient_checkpointing = case.recomputes
        for _ in range(2):  # AdamW makes its moments in the first step
            with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler, Sent() as counted:
                accumulate_gradients(training, batch, settings, mesh)
            # The weights and the moments were there.
            told = {"sent": counted.found, "peak": 3 * own_bytes(training) + peak(profiler)}
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        product.ONEDNN = None  # torch counts its own products alone
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            accumulate_gradients(training, batch, settings, mesh)
    return told | {"flops": counter.get_total_flops()}


def main(rank: int, case: Case, folder: Path) -> None:
    torch.set_num_threads(1)
    size = case.mesh.size
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=size)
    told = count(case, Mesh(case.mesh, rank, sharing_rows(case.mesh, rank)) if size > 1 else Mesh())
    (folder / f"{rank}.json").write_text(json.dumps(told), encoding="utf-8")
    if size > 1:
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    main(int(sys.argv[1]), CASES[sys.argv[2]], Path(sys.argv[3]))
