"""Weights parted among processes while they are trained (ZeRO, Rajbhandari et al. 2020, 1910.02054), by torch's FSDP2.

A network is parted as a copy, whose layers are put together as each is needed; meanwhile it has no weights itself, and
at the end they are given back.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ctxext.parallel.mesh import Mesh
from ctxext.refusal import require

Optimiser = TypeVar("Optimiser", bound=torch.optim.Optimizer)


def whole(tensor: Tensor) -> Tensor:
    """Return all of `tensor`, of which this process may have a part; then every process must ask."""
    full = getattr(tensor, "full_tensor", None)
    made: Tensor = tensor if full is None else full()
    return made


def parted(network: Any, mesh: Mesh) -> Any:
    """Return a copy of `network` of which each process of `mesh` has a part; itself where nothing is parted.

    Gradients are sums over all processes. The weights of `network` are empty until `give_back`.
    """
    if mesh.settings.shard == 1:
        return network
    from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

    said = f"parallel.shard={mesh.settings.shard} can't part"
    for name, parameter in network.named_parameters():
        require(parameter.dim() > 0, f"{said} {name}, a single number; use parallel.shard=1")
    # Its weights are nowhere at first, so that no process holds more than all of them once, and its part.
    empty = {id(part): nn.Parameter(part.to("meta"), part.requires_grad) for part in network.parameters()}
    copy, devices = deepcopy(network, dict(empty)), devices_of(mesh, network.unembedding[0].device)
    for module in (*getattr(copy, "layers", ()), copy):
        fully_shard(module, mesh=devices)
    for module in copy.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # gloo has no sum of divided numbers
    register_fsdp_forward_method(copy, "hidden")
    hand_over(network, copy)
    return copy


@torch.no_grad()
def hand_over(network: nn.Module, copy: nn.Module) -> None:
    """Let the parted `copy` have this process's part of each weight of `network`, which is empty then."""
    for name, part in copy.named_parameters():
        own = network.get_parameter(name)
        copy.load_state_dict({name: part_of(own.detach(), part)}, strict=False, assign=True)
        own.data = own.new_empty(0)


def part_of(tensor: Tensor, like: Any) -> Any:
    """Return this process's part of `tensor`, cut as `like` is, in memory of its own."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    cut = distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)
    return DTensor.from_local(
        cut.to_local().clone(), cut.device_mesh, cut.placements, shape=cut.shape, stride=cut.stride()
    )


def devices_of(mesh: Mesh, device: torch.device) -> Any:
    """Return torch's mesh: weights are parted along its last dimension, and the same along one before, if there is."""
    from torch.distributed.device_mesh import DeviceMesh

    sizes = mesh.settings
    ranks = torch.arange(mesh.size).view(sizes.data, sizes.shard, sizes.context)
    ranks = ranks.transpose(1, 2).reshape(-1, sizes.shard)
    if len(ranks) == 1:
        return DeviceMesh(device.type, ranks[0], mesh_dim_names=("shard",))
    return DeviceMesh(device.type, ranks, mesh_dim_names=("replicate", "shard"))


def rest(network: nn.Module) -> None:
    """Let each process have its part of `network` alone, also after what was read without a gradient."""
    for module in network.modules():
        reshard: Any = getattr(module, "reshard", None)
        if reshard is not None:
            reshard()


@torch.no_grad()
def give_back(copy: Any, network: nn.Module) -> None:
    """Let `network` have the weights of the parted `copy` again, whole; nothing where it is that itself."""
    if copy is not network:
        for name, part in copy.named_parameters():
            network.get_parameter(name).data = whole(part.detach())


def parted_optimiser(own: Optimiser, made: Optimiser, names: list[str], copy: nn.Module) -> Optimiser:
    """Return `made`, which trains the parts of `copy`, with this process's parts of the state of `own`.

    `names` are those of the parameters, in the order of both. `own` has no state afterwards.
    """
    from torch.distributed.tensor import DTensor

    parameters = dict(copy.named_parameters())
    state = own.state_dict()
    for index, entries in state["state"].items():
        parameter = parameters[names[index]]
        assert isinstance(parameter, DTensor)
        for key, tensor in entries.items():
            if tensor.shape == parameter.shape:
                entries[key] = part_of(tensor, parameter)
    own.state.clear()
    made.load_state_dict(state)
    return made
