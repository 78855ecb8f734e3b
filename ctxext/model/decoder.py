"""The decoder: a stack of blocks, with the three seams around its heads.

Shapes: B batch, S tokens, K keys (cached ones first), W hidden size, V vocabulary.
"""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from ctxext.kernels.loss import Unembedding
from ctxext.model.across import Shared, gathered_across
from ctxext.model.block import Project, SelfAttention
from ctxext.model.cache import DecoderCache, KeysTurned, LayerCache, plan_of
from ctxext.model.geometry import DecoderGeometry, VanillaGeometry
from ctxext.model.stepping import steps_of
from ctxext.parallel.headtail import HeadTail
from ctxext.places import Places
from ctxext.seams import Attention, Heads, Mask, Position

Members = tuple[Position, Mask, Attention]

SPREAD = 0.64
"""Weights are drawn with SPREAD / sqrt(hidden size): the usual 0.02 at 1024."""
LOOK_BACK = 4.0
"""How strongly heads begin by looking back: the token meant has about 0.8 of the weight."""


class Decoder(nn.Module):
    """A causal language model; parameter names are Hugging Face Llama's without the prefix `model.`.

    What the three seams learn has names of its own, below `learned.`.
    """

    def __init__(
        self, geometry: DecoderGeometry | VanillaGeometry, position: Position, mask: Mask, attention: Attention
    ) -> None:
        super().__init__()
        self.geometry = geometry
        self.gradient_checkpointing = False
        self.share: HeadTail | None = None
        count, width = geometry.num_hidden_layers, geometry.hidden_size
        self.embed_tokens = nn.Embedding(geometry.vocab_size, width)
        self.layers = nn.ModuleList(geometry.block() for _ in range(count))
        self.norm = geometry.norm()
        self.parts: dict[str, Any] = {}
        self.fill(position, mask, attention)
        if not geometry.tie_word_embeddings:
            self.lm_head = nn.Linear(width, geometry.vocab_size, bias=False)
        self.initialise()

    def fill(self, position: Position, mask: Mask, attention: Attention) -> None:
        """Fill the three seams, for each layer with the member that answers for it."""
        seams = {"position": position, "mask": mask, "attention": attention}
        self.parts = {slot: self.grow(slot, member) for slot, member in seams.items()}
        self.learned = nn.ModuleDict({slot: part for slot, part in self.parts.items() if isinstance(part, nn.Module)})
        self.position, self.mask, self.attention = position, mask, attention
        count = len(self.layers)
        by_layer = ([part.layer(index, count) for index in range(count)] for part in self.parts.values())
        self.members: list[Members] = [
            (self.geometry.position_of(index, position), mask, attention)
            for index, (position, mask, attention) in enumerate(zip(*by_layer, strict=True))
        ]
        self.members_in_training: list[Members] = [(p, m, a.in_training()) for p, m, a in self.members]

    def grow(self, slot: str, member: Any) -> Any:
        """Return the `member` for `slot` with its learned parts: those that are there, or new ones."""
        before = self.parts.get(slot)
        if before is not None and getattr(self, slot) == member:
            return before
        part = member.grown(self.geometry.sizes, before)
        return part.to(self.embed_tokens.weight.device) if isinstance(part, nn.Module) else part

    def reading(self, position: Position, mask: Mask, attention: Attention) -> Decoder:
        """Return a decoder with the same weights, shared and not copied, that reads them through other seams."""
        other = copy(self)
        other._modules = dict(self._modules)  # else what the other learns would be registered here as well
        other.fill(position, mask, attention)
        return other

    def initialise(self) -> None:
        """Draw the weights, less on the way back to the stream, whose variance stays level; biases begin at 0."""
        deviation = SPREAD / self.geometry.hidden_size**0.5
        for name, parameter in self.named_parameters():
            if name.startswith("learned."):
                continue  # what grew there has drawn its own
            if name.endswith(".bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 2:
                last = name.endswith(("o_proj.weight", "down_proj.weight", "mlp.2.weight"))
                nn.init.normal_(parameter, std=deviation / (2 * len(self.layers)) ** 0.5 if last else deviation)
        if getattr(self.geometry, "attention_bias", False):
            self.look_back()

    @torch.no_grad()
    def look_back(self) -> None:
        """Let the first layer's heads, but for the last, begin by looking 1, 2, ... tokens back.

        Look-up needs one layer that knows which token stood before and one that matches it. Learning both at once
        takes long (docs/decisions/looking_back.md); d'Ascoli et al. 2021 (2103.10697) begin near convolutions likewise.
        """
        heads: SelfAttention = self.layers[0].self_attn  # type: ignore[assignment]
        fast = heads.head_dim // 6  # only fast pairs tell neighbours apart
        key = torch.zeros(1, 1, 1, heads.head_dim)
        key[..., :fast] = LOOK_BACK
        heads.k_proj.bias.copy_(key.flatten().repeat(heads.k_proj.bias.shape[0] // heads.head_dim))
        count = heads.q_proj.bias.shape[0] // heads.head_dim
        position, back = self.members[0][0], [Places.of(torch.tensor([[-distance]])) for distance in range(1, count)]
        turned = [position.rotate(key, place) for place in back]
        heads.q_proj.bias.copy_(torch.cat([*turned, torch.zeros_like(key)]).flatten())

    def new_cache(self) -> DecoderCache:
        """Return an empty cache, which keeps for each layer what a later query can look at."""
        cache = DecoderCache([plan_of(*members) for members in self.members])
        cache.steps = steps_of(self.layers, self.members)
        return cache

    def hidden(
        self, tokens: Tensor, positions: Tensor, documents: Tensor | None = None, cache: DecoderCache | None = None
    ) -> Tensor:
        """Return the last hidden states [B, S, W] of `tokens` [B, S] at `positions` [B, S].

        `documents` [B, S] keeps packed documents apart; `cache` holds the tokens before, and takes these in. Through a
        cache, mechanisms read as they do outside of training. While training with a `share` of rows that other
        processes have too, states are those of the tokens of the share alone.
        """
        assert cache is None or documents is None, "a cache holds one document a row"
        queries = Places.of(positions, documents) if cache is None else cache.see(positions)
        if self.share is not None and self.training and cache is None:
            return self.hidden_across(tokens, queries, self.share)
        x = self.parts["position"].embed(self.geometry.embed(self.embed_tokens(tokens)), queries)
        members = self.members_in_training if self.training and cache is None else self.members
        self.prepare(members, queries, x)
        if cache is not None and is_step(cache, tokens):
            for index, step in enumerate(cache.steps):
                x = step(x, queries, cache.layer(index))
            last: Tensor = self.norm(x)
            return last
        for index, block in enumerate(self.layers):
            attend = partial(gathered, members[index], queries, None if cache is None else cache.layer(index))
            x = recomputed(block, x, attend, use_reentrant=False) if self.recomputes else block(x, attend)
        hidden: Tensor = self.norm(x)
        return hidden

    def hidden_across(self, tokens: Tensor, whole: Places, share: HeadTail) -> Tensor:
        """Return the last hidden states of the `share` in the `tokens` [B, S] at the places of `whole` rows."""
        rows, here = Shared(share, share.sights(whole)), share.places(whole)
        x = self.parts["position"].embed(self.geometry.embed(self.embed_tokens(share.own(tokens))), here)
        for places in (place for sight in rows.sights for place in sight):
            self.prepare(self.members_in_training, places, x)
        for index, block in enumerate(self.layers):
            attend = partial(gathered_across, self.members_in_training[index], rows)
            x = recomputed(block, x, attend, use_reentrant=False) if self.recomputes else block(x, attend)
        hidden: Tensor = self.norm(x)
        return hidden

    @property
    def recomputes(self) -> bool:
        """Whether what a block keeps for its gradient is dropped and computed again (Chen et al. 2016, 1604.06174)."""
        return self.gradient_checkpointing and self.training and torch.is_grad_enabled()

    def prepare(self, members: list[Members], queries: Places, x: Tensor) -> None:
        """Let the encodings of `members` compute once what layers share of reading `x` [B, S, W] at `queries`."""
        heads = x.new_empty(self.geometry.sizes.head_dim)
        for position in {id(position): position for position, _, _ in members}.values():
            position.prepare(queries, heads)

    def penalty(self) -> Tensor | None:
        """Return what the learned parts of the seams add to the loss in training, or None."""
        penalties = [penalty for part in self.parts.values() if (penalty := part.penalty()) is not None]
        return torch.stack(penalties).sum() if penalties else None

    def settle(self) -> None:
        """Let the learned parts of the seams bring back what a step has put where it has no meaning."""
        for part in self.parts.values():
            part.settle()

    @property
    def unembedding(self) -> Unembedding:
        """What turns hidden states into logits; it has no bias."""
        rows = self.embed_tokens if self.geometry.tie_word_embeddings else self.lm_head
        return Unembedding(rows.weight, None, self.geometry.logit_cap)


def is_step(cache: DecoderCache, tokens: Tensor) -> bool:
    """Return whether `tokens` [B, S] are read by the steps of the `cache`: one a row, and without gradients."""
    return cache.steps is not None and tokens.shape[1] == 1 and not torch.is_grad_enabled()


def gathered(members: Members, queries: Places, cache: LayerCache | None, x: Tensor, project: Project) -> Tensor:
    """Return what the heads of a layer gather [B, H, S, D] by its `members` for the states `x` [B, S, W].

    The `cache` of the layer holds what of the tokens before is looked at, and takes these in.
    """
    position, mask, attention = members
    q, k, v = project(x)
    if cache is None:
        return attention.gather(Heads(q, k, v, attention.remember(x), x, project), queries, queries, position, mask)
    if cache.plan.is_turned:
        k, position = position.rotate_keys(k, queries), KeysTurned(position)
    k, v, *remembered = cache.extend((k, v, *attention.remember(x)))
    heads = Heads(q, k, v, tuple(remembered), x, project)
    if not cache.plan.is_carried:
        return attention.gather(heads, queries, cache.keys, position, mask)
    found, cache.state = attention.carry(heads, queries, cache.keys, position, mask, cache.state)
    return found
