"""Low-rank adapters by peft: attached to a network, trained beside its embeddings and norms, and merged into it.

What is attached to a network is attached to every reading of it, since they share their blocks.

Shapes: S tokens, V vocabulary.
"""

import importlib.util
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ctxext.refusal import Refusal, nearest, require
from ctxext.training.settings import EMBEDDINGS, NORMS, WITHOUT, Trainer

LEARNED = "learned."
"""What the names of a method's own weights begin with: they are trained in full."""
TOLERANCE = 1e-5
"""The largest difference of the merged network's logits over the adapter's largest; rounding alone gives 1e-6."""
BEYOND = 64
"""Tokens beyond the trained length at which the two are compared."""
COMPARED = 512
"""Tokens that are read for it at most: of a longer trained length, the last."""


def require_peft() -> None:
    """Refuse an adapter where peft isn't installed."""
    if importlib.util.find_spec("peft") is None:
        raise Refusal("trainer.adapter=lora needs the package peft: pip install ctxext[lora]")


def attach(network: Any, settings: Trainer, seed: int) -> None:
    """Attach the adapter of `settings` to `network`, and freeze what isn't trained beside it; nothing read changes.

    The first matrices are drawn from `seed`, the second are 0. Refuses targets that the network hasn't.
    """
    if settings.adapter == WITHOUT:
        return
    require_peft()
    from peft import LoraConfig, inject_adapter_in_model  # optional, and slow to import

    check_targets(settings.lora_targets, projections(network.layers))
    torch.manual_seed(seed)
    config = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=targeted(network.layers, settings.lora_targets),
    )
    inject_adapter_in_model(config, network.layers)  # and not the network, whose learned parts may have like names
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(is_trained(name, settings))


def is_trained(name: str, settings: Trainer) -> bool:
    """Return whether the parameter `name` of a network with the adapter of `settings` is trained."""
    module = name.split(".")[-2]
    beside = {EMBEDDINGS: module == "embed_tokens", NORMS: "norm" in module}
    return name.startswith(LEARNED) or is_adapters(name) or any(beside[kind] for kind in settings.lora_trained)


def is_adapters(name: str) -> bool:
    """Return whether the parameter `name` is one of an adapter's two matrices."""
    return ".lora_A." in name or is_second(name)


def is_second(name: str) -> bool:
    """Return whether the parameter `name` is the adapter's second matrix, B, which begins at 0."""
    return ".lora_B." in name


def projections(blocks: nn.Module) -> list[str]:
    """Return the names that an adapter of `blocks` may target."""
    names = (name.rpartition(".")[2] for name in linear(blocks))
    return sorted({name for name in names if name.isidentifier()})


def linear(blocks: nn.Module) -> dict[str, nn.Linear]:
    """Return the linear maps of `blocks` by their full names."""
    return {name: part for name, part in blocks.named_modules() if isinstance(part, nn.Linear)}


def targeted(blocks: nn.Module, targets: Sequence[str]) -> str:
    """Return the expression that matches the full names of the projections of `blocks` that `targets` name.

    A name alone would match parts of other kinds too.
    """
    return "|".join(re.escape(name) for name in linear(blocks) if name.rpartition(".")[2] in targets)


def check_targets(targets: Sequence[str], known: Sequence[str]) -> None:
    """Refuse `targets` of an adapter that are not among the `known` projections of the blocks."""
    for name in targets:
        has = f"trainer.lora_targets: the model has no {name!r}, only {', '.join(known)}"
        require(name in known, has + nearest(name, known))


def is_attached(network: nn.Module) -> bool:
    """Return whether `network` has an adapter."""
    return any(is_adapters(name) for name, _ in network.named_parameters())


def merge(network: Any, trained_length: int) -> float:
    """Add the adapter of `network` into its weights, in place, so that it has the names and the parts of a plain one.

    Returns by how much the logits of random tokens beyond `trained_length` differ, over the largest of them; raises
    ArithmeticError above TOLERANCE.
    """
    network.eval()
    with_adapter = logits(network, trained_length)
    for name, part in list(network.layers.named_modules()):
        if hasattr(part, "get_base_layer"):
            part.merge(safe_merge=True)
            network.layers.set_submodule(name, part.get_base_layer())
    del network.layers.peft_config
    network.requires_grad_(True)
    scale = with_adapter.abs().max()
    difference = float((logits(network, trained_length) - with_adapter).abs().max() / scale)
    if not difference <= TOLERANCE:  # a NaN too
        raise ArithmeticError(f"merging the adapter changed logits by {difference:.2g} of their scale, not {TOLERANCE}")
    return difference


@torch.no_grad()
def logits(network: Any, trained_length: int) -> Tensor:
    """Return the logits [S, V] of `network` for random tokens, the last of which lie beyond `trained_length`."""
    weight, bias, *_ = network.unembedding
    limit = network.position.limit()
    end = trained_length + BEYOND if limit is None else min(trained_length + BEYOND, limit)
    count = min(end, COMPARED)
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(network.geometry.vocab_size, (1, count), generator=draw).to(weight.device)
    positions = torch.arange(end - count, end, device=weight.device)[None]
    hidden = network.hidden(tokens, positions)[0, -BEYOND:]
    found: Tensor = hidden @ weight.T
    return found if bias is None else found + bias
