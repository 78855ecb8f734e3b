"""What a network costs: products, the pairs that queries see, and what is kept, counted and not timed.

Shapes: B rows, S tokens, Q queries, K keys, H heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ctxext.attention.softmax import Softmax
from ctxext.kernels.gather import keys_of
from ctxext.model.cache import DecoderCache
from ctxext.places import Places
from ctxext.seams import Mask, View

SAMPLED = 1024
"""Queries whose visible keys are counted, spread evenly; a text of at most so many tokens is counted whole."""
AT_ONCE = 64


def views_of(mask: Mask, attention: object) -> tuple[View, ...]:
    """Return the views of `mask` as `attention` scores them; the mask's own where it has a rule of its own."""
    return attention.views(mask) if isinstance(attention, Softmax) else mask.views()


def queries_at(keys: Places, columns: Tensor) -> Places:
    """Return the queries among `keys`, of one row of one document, that stand at `columns` [Q]."""
    positions, ordinals, lengths = (part[:, columns] for part in (keys.positions, keys.ordinals, keys.lengths))
    return Places(keys.columns[columns], positions, None, ordinals, lengths, keys.size, {})


@torch.no_grad()
def mean_visible(view: View, length: int, device: torch.device) -> float:
    """Return how many keys a query sees in `view`, the mean of queries and heads of `length` tokens."""
    keys = Places.of(torch.arange(length, device=device)[None])
    columns = torch.linspace(0, length - 1, min(length, SAMPLED), device=device).round().long()
    if view.reach.is_full:  # then no pair is looked at
        return float(keys_of(view, queries_at(keys, columns), keys).double().mean())
    total = 0.0
    for some in torch.split(columns, AT_ONCE):
        seen = view.visible(queries_at(keys, some), keys).sum(dim=-1)
        total += float(seen.double().mean(dim=(0, 1)).sum())
    return total / len(columns)


class Counted(NamedTuple):
    """Of a layer: the `keys` that a query sees, and the `products` of a token in each head, the mean of the text."""

    keys: float
    products: float


def attention_in_layers(network: Any, length: int) -> list[Counted]:
    """Return what the heads of each layer of `network` need for `length` tokens; nothing for one without heads."""
    members = getattr(network, "members", ())
    width = network.geometry.sizes.head_dim if members else 0
    return counted_in_layers(members, length, width, network.unembedding[0].device)


def counted_in_layers(members: Sequence[Any], length: int, width: int, device: torch.device) -> list[Counted]:
    """Return what heads of `width` need for `length` tokens in layers with those `members`, counted on `device`."""
    known: list[tuple[tuple[Any, Any], Counted]] = []
    layers = []
    for position, mask, attention in members:
        counted = next((counted for pair, counted in known if pair == (mask, attention)), None)
        if counted is None:
            work = attention.work(mask, length, width)
            seen = [(mean_visible(view, length, device), each) for view, each in work.by_pair]
            products = sum(keys * each for keys, each in seen) + work.by_token
            counted = Counted(sum(keys for keys, _ in seen), products)
            known.append(((mask, attention), counted))
        layers.append(counted._replace(products=counted.products + position.products(width)))
    return layers


def mask_density(network: Any, length: int) -> float | None:
    """Return which share of all length x length pairs is visible, the mean of the layers; None without heads."""
    return density_of(attention_in_layers(network, length), length)


def density_of(layers: list[Counted], length: int) -> float | None:
    """Return which share of all length x length pairs `layers` see; None without any."""
    return sum(layer.keys for layer in layers) / len(layers) / length if layers else None


def head_weights(network: Any) -> int:
    """Return how many weights the unembedding of `network` has, with which the last states are multiplied."""
    unembedding: Tensor = network.unembedding[0]
    return unembedding.numel()


def matrix_weights(network: Any) -> int:
    """Return how many weights of `network` every token is multiplied with, those of the unembedding among them."""
    unembedding: Tensor = network.unembedding[0]
    count = head_weights(network)
    for name, module in network.named_modules():
        is_of_pairs = name.startswith("learned.position")  # no token is multiplied with these
        if isinstance(module, nn.Linear | nn.LSTM) and not is_of_pairs:
            matrices = (part for part in module.parameters(recurse=False) if part.dim() == 2)
            count += sum(part.numel() for part in matrices if part is not unembedding)
    return count


def flops_per_token(network: Any, length: int) -> float:
    """Return the floating-point operations of a token's forward pass in a text of `length` tokens.

    Two for each weight that it is multiplied with, and two for each product of its heads, 4 x heads x head width for
    each visible key of a softmax: what is needed, which is less than what a dense kernel computes. Training takes three
    times as many.
    """
    return flops_of(network, attention_in_layers(network, length))


def flops_of(network: Any, layers: list[Counted]) -> float:
    """Return the operations of a token's forward pass through `network`, the heads of whose `layers` are counted."""
    heads = network.geometry.sizes.num_attention_heads if layers else 0
    return 2.0 * matrix_weights(network) + 2.0 * heads * sum(layer.products for layer in layers)


def counted(network: Any, length: int) -> dict[str, float]:
    """Return all that is counted of `network` at `length` tokens, by name: without heads there is no mask density."""
    layers = attention_in_layers(network, length)
    density = density_of(layers, length)
    return {
        "parameters": parameter_count(network),
        "flops_per_token": flops_of(network, layers),
        **({} if density is None else {"mask_density": density}),
        "cache_bytes_per_token": cache_bytes(network, length) / length,
    }


def parameter_count(network: nn.Module) -> int:
    """Return how many parameters `network` has, shared ones counted once."""
    return sum(part.numel() for part in network.parameters())


def weight_bytes(network: nn.Module) -> int:
    """Return the bytes of the parameters of `network`."""
    return sum(part.numel() * part.element_size() for part in network.parameters())


def optimiser_bytes(network: nn.Module) -> int:
    """Return the bytes that training adds to the parameters of `network`: gradients and AdamW's two moments.

    Frozen parameters have none.
    """
    return 3 * sum(part.numel() * part.element_size() for part in network.parameters() if part.requires_grad)


@torch.no_grad()
def cache_bytes(network: Any, length: int) -> int:
    """Return the bytes that the cache of `network` keeps of `length` tokens for later ones: what these can look at.

    Room that is made beforehand doesn't count.
    """
    cache, tokens = network.new_cache(), torch.zeros(1, 1, dtype=torch.int64, device=network.unembedding[0].device)
    network.hidden(tokens, tokens, cache=cache)
    if not isinstance(cache, DecoderCache):
        return int(cache.nbytes)  # a state of fixed size
    strips = [strip for layer in cache.layers for strip in layer.strips]
    growing = sum(strip.kept.nbytes * min(length, strip.span.before) for strip in strips)
    return growing + sum(layer.state_bytes for layer in cache.layers)


def saved_bytes(network: Any, length: int) -> int:
    """Return the bytes that the forward pass of `network` keeps for the backward one, for a row of `length` tokens."""
    tokens = torch.zeros(1, length, dtype=torch.int64, device=network.unembedding[0].device)
    return kept_bytes(network, tokens, torch.arange(length, device=tokens.device)[None], None)


def kept_bytes(network: Any, tokens: Tensor, positions: Tensor, documents: Tensor | None) -> int:
    """Return the bytes that reading `tokens` [B, S] keeps for the backward pass, those of weights not among them."""
    weights = {part.untyped_storage().data_ptr() for part in network.parameters()}
    kept: dict[int, int] = {}

    def keep(part: Tensor) -> Tensor:
        storage = part.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return part

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda part: part):
        # The result keeps the graph, so that no address is given twice.
        hidden = network.hidden(tokens, positions, documents)
    total = sum(kept.values())
    del hidden
    return total


class Kept(NamedTuple):
    """The bytes that reading keeps for the backward pass: by each of the `blocks`, and `outside` of them."""

    outside: int
    blocks: list[int]


def kept_by_block(network: Any, tokens: Tensor, positions: Tensor, documents: Tensor | None) -> Kept:
    """Return `kept_bytes` of `network` for `tokens` [B, S], told apart; like blocks are measured once, one at a time.

    A network without blocks keeps all outside of them.
    """
    if not hasattr(network, "members"):
        return Kept(kept_bytes(network, tokens, positions, documents), [])
    outside = kept_bytes(with_block(network, ()), tokens, positions, documents)
    known: list[tuple[Any, int]] = []
    for index, members in enumerate(network.members_in_training):
        found = next((kept for others, kept in known if others == members), None)
        if found is None:
            found = kept_bytes(with_block(network, (index,)), tokens, positions, documents) - outside
        known.append((members, found))
    return Kept(outside, [kept for _, kept in known])


def with_block(network: Any, indices: tuple[int, ...]) -> Any:
    """Return a network like `network` that has those of its blocks alone which stand at `indices`."""
    other = copy(network)
    other._modules = dict(network._modules)
    other.layers = nn.ModuleList(network.layers[index] for index in indices)
    for name in ("members", "members_in_training"):
        setattr(other, name, [getattr(network, name)[index] for index in indices])
    return other


def extrapolated(length: int, saved: Mapping[int, int]) -> float:
    """Return an estimate of `saved_bytes` at `length` from the bytes `saved` at two lengths, the shorter one first."""
    (short, at_short), (long, at_long) = saved.items()
    each_short, each_long = at_short / short, at_long / long
    slope = max((each_long - each_short) / (long - short), 0.0)
    return length * (each_short + slope * (length - short))
