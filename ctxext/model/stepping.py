"""One token more through blocks of Llama's kind, without calls between modules: these take longer than its products.

Shapes: B batch, H heads, G key-value heads, K keys kept, D head width, W hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, rms_norm
from torch.nn.functional import scaled_dot_product_attention as attend

from ctxext.attention.softmax import Softmax
from ctxext.kernels.gather import is_biased
from ctxext.kernels.norm import RmsNorm
from ctxext.kernels.product import Linear
from ctxext.model.block import GatedMlp, LlamaBlock, SelfAttention
from ctxext.model.cache import LayerCache, turns
from ctxext.places import Places, unmoved
from ctxext.seams import Attention, Mask, Position, View


class Step(NamedTuple):
    """What a block does to a token: the `position` that turns its heads, how many keys it sees, and the weights.

    Each of `q`, `k`, `v`, `o`, `gate`, `up` and `down` is a matrix and a bias or None, each norm a weight.
    """

    position: Position
    size: int | None
    shape: tuple[int, int]
    activation: Callable[[Tensor], Tensor]
    epsilons: tuple[float, float]
    norms: tuple[Tensor, Tensor]
    q: tuple[Tensor, Tensor | None]
    k: tuple[Tensor, Tensor | None]
    v: tuple[Tensor, Tensor | None]
    o: tuple[Tensor, Tensor | None]
    gate: tuple[Tensor, Tensor | None]
    up: tuple[Tensor, Tensor | None]
    down: tuple[Tensor, Tensor | None]

    def __call__(self, x: Tensor, queries: Places, cache: LayerCache) -> Tensor:
        """Return what the block makes of the states `x` [B, 1, W] at `queries`, whose keys and values go to `cache`."""
        num_heads, width = self.shape
        here = rms_norm(x, self.norms[0].shape, self.norms[0], self.epsilons[0])
        heads = torch.cat((linear(here, *self.q), linear(here, *self.k)), dim=2).view(x.shape[0], -1, 1, width)
        turned = self.position.rotate(heads, queries)
        values = linear(here, *self.v).view(x.shape[0], -1, 1, width)
        k, v = cache.extend((turned[:, num_heads:], values))
        if self.size is not None and k.shape[2] > self.size:
            k, v = k[:, :, -self.size :], v[:, :, -self.size :]
        found = attend(turned[:, :num_heads], k, v, enable_gqa=num_heads != k.shape[1])
        x = x + linear(found.view(x.shape[0], 1, -1), *self.o)
        here = rms_norm(x, self.norms[1].shape, self.norms[1], self.epsilons[1])
        return x + linear(self.activation(linear(here, *self.gate)).mul_(linear(here, *self.up)), *self.down)


def steps_of(blocks: Iterable[nn.Module], members: Iterable[tuple[Position, Mask, Attention]]) -> list[Step] | None:
    """Return what `blocks` with these `members` do to one token, or None where one does more than `Step` can."""
    steps = []
    for block, some in zip(blocks, members, strict=True):
        step = step_of(block, *some)
        if step is None:
            return None
        steps.append(step)
    return steps


def step_of(block: Any, position: Position, mask: Mask, attention: Attention) -> Step | None:
    """Return what `block` does to one token, or None."""
    if not (is_bare(block) and is_plain(position, attention)):
        return None
    views = mask.views()
    if not shows_last(views):
        return None
    heads, mlp, norms = block.self_attn, block.mlp, (block.input_layernorm, block.post_attention_layernorm)
    layers = (heads.q_proj, heads.k_proj, heads.v_proj, heads.o_proj, mlp.gate_proj, mlp.up_proj, mlp.down_proj)
    weights = [(layer.weight, layer.bias) for layer in layers]
    num_heads = heads.q_proj.weight.shape[0] // heads.head_dim
    size = views[0].reach.size if views[0].reach.tag == "band" else None
    epsilons, scales = (norms[0].epsilon, norms[1].epsilon), (norms[0].weight, norms[1].weight)
    return Step(position, size, (num_heads, heads.head_dim), mlp.activation, epsilons, scales, *weights)


KINDS = (LlamaBlock, SelfAttention, GatedMlp, RmsNorm, Linear)


def is_bare(block: nn.Module) -> bool:
    """Return whether `block` is Llama's and nothing is hung on it: no adapter, hook or compiled form; on a CPU."""
    parts = list(block.modules())
    is_known = type(block) is LlamaBlock and all(type(part) in KINDS for part in parts)
    is_hooked = any(part._forward_hooks or part._forward_pre_hooks or part._compiled_call_impl for part in parts)
    is_single = all(weight.is_cpu and weight.dtype == torch.float32 for weight in block.parameters())
    return is_known and not is_hooked and is_single


def is_plain(position: Position, attention: Attention) -> bool:
    """Return whether heads are turned for good, or not at all, and nothing is added to the logits of a softmax."""
    stays = position.turns_for_good() or not turns(position)
    return type(attention) is Softmax and stays and not is_biased(position)


def shows_last(views: tuple[View, ...]) -> bool:
    """Return whether `views` show a query the last keys up to its own, each as it is."""
    if len(views) != 1:
        return False
    view, reach = views[0], views[0].reach
    is_unmoved = view.turn_queries is unmoved and view.turn_keys is unmoved
    is_cut = reach.tag in ("causal", "band") and reach.is_full and reach.beyond == 0
    return is_cut and is_unmoved and view.weigh is None and not view.cap
