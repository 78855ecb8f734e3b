"""One of several processes that train a tiny decoder once, and count what they send, compute and hold, by torch alone.

python rank.py RANK RANKS MESH FOLDER, where MESH is data, shard or context.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ctxext.attention.softmax import Softmax
from ctxext.kernels import product
from ctxext.kernels.loss import fused_loss
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope

WIDE = DecoderGeometry(500, 64, 176, 4, 4, 2, 16, False, 1e-5)
ROWS, LENGTH = 2, 256
SHARES = {"_allgather_base_": 1, "_reduce_scatter_base_": 1, "allreduce_": 2}
"""How often a rank passes on its part of what is gathered or summed, times the other ranks."""


class Sent(TorchDispatchMode):
    """Counts the bytes that collectives around a ring send from this rank, as torch hands them over."""

    def __init__(self, ranks: int) -> None:
        super().__init__()
        self.ranks, self.found = ranks, dict.fromkeys(SHARES, 0.0)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._opname
        if function.namespace == "c10d" and name in SHARES:
            tensors = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
            largest = max(tensor.numel() * tensor.element_size() for tensor in tensors)
            self.found[name] += SHARES[name] * largest * (self.ranks - 1) / self.ranks
        return function(*args, **(kwargs or {}))


class Gathered(torch.autograd.Function):
    """Keys or values of all ranks; what is learnt of them goes back."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        every = own.new_empty(dist.get_world_size() * own.shape[0], *own.shape[1:])
        dist.all_gather_into_tensor(every, own.contiguous())
        return every

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        own = gradient.new_empty(gradient.shape[0] // dist.get_world_size(), *gradient.shape[1:])
        dist.reduce_scatter_tensor(own, gradient.contiguous())
        return own


class Across(Softmax):
    """Queries of this rank's half of a row, keys and values of both."""

    def gather(self, heads: Any, queries: Any, keys: Any, position: Any, mask: Any) -> Tensor:
        q, k, v = position.rotate(heads.q, queries), position.rotate_keys(heads.k, queries), heads.v
        # Both in one tensor, ranks along the first axis; they come as [ranks, 2, B, G, S, D].
        every = Gathered.apply(torch.stack((k, v))[None])
        k, v = (torch.cat(list(every[:, part]), dim=2) for part in (0, 1))
        rank, size = dist.get_rank(), q.shape[2]
        seen = torch.ones(size, k.shape[2], dtype=torch.bool).tril(rank * size)
        return scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=True)


class Taught(nn.Module):
    """A network and its loss in one forward pass, as FSDP wants it."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        hidden = self.network.hidden(tokens, positions).flatten(0, 1)
        return fused_loss(hidden, self.network.unembedding, tokens.flatten(), torch.ones(tokens.numel()))


def peak(profiler: Any) -> int:
    """Return the largest sum of allocations less releases that `profiler` saw, in bytes."""
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def learn(model: nn.Module, tokens: Tensor, positions: Tensor, mesh: str, ranks: int) -> None:
    """Make the gradients of a step, and sum them where nothing else does."""
    model(tokens, positions).backward()
    if mesh in ("data", "context") and ranks > 1:
        for part in model.parameters():
            dist.all_reduce(part.grad)


def main(rank: int, ranks: int, mesh: str, folder: Path) -> None:
    torch.set_num_threads(1)
    if ranks > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=ranks)
    torch.manual_seed(0)
    network = WIDE.build(Rope(10000.0), IntraDocument(), Across() if mesh == "context" else Softmax()).train()
    model, before = Taught(network), sum(part.numel() * 4 for part in network.parameters())
    if mesh == "shard":
        for layer in network.layers:
            fully_shard(layer)
        fully_shard(model)
        for module in (*network.layers, model):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
        before = sum(part.to_local().numel() * 4 for part in network.parameters())
    rows, length = (ROWS // ranks, LENGTH) if mesh in ("data", "shard") else (ROWS, LENGTH // ranks)
    first = rank * length if mesh == "context" else 0
    tokens = torch.randint(0, 500, (rows, length))
    positions = (first + torch.arange(length)).expand(rows, -1)
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)
    told: dict[str, Any] = {}
    for _ in range(2):  # AdamW makes its moments in the first step
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler, Sent(ranks) as counted:
            learn(model, tokens, positions, mesh, ranks)
        told = {"sent": counted.found, "peak": 3 * before + peak(profiler)}  # the weights and the moments were there
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    product.ONEDNN = None  # torch counts its own products alone
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        learn(model, tokens, positions, mesh, ranks)
    told["flops"] = counter.get_total_flops()
    (folder / f"{rank}.json").write_text(json.dumps(told), encoding="utf-8")
    if ranks > 1:
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
