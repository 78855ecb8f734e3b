"""The LSTM language model.

Shapes: B batch, S tokens, W hidden size, V vocabulary.
"""

from __future__ import annotations

from copy import copy

from torch import Tensor, nn

from ctxext.kernels.loss import Unembedding
from ctxext.model.geometry import LstmGeometry
from ctxext.seams import Attention, Mask, Position


class LstmCache:
    """Hidden and cell state of each layer [layers, B, W]."""

    is_whole = False

    def __init__(self) -> None:
        self.state: tuple[Tensor, Tensor] | None = None

    def repeat(self, count: int) -> LstmCache:
        """Return a cache in which each row stands `count` times."""
        repeated = LstmCache()
        if self.state is not None:
            hidden, cell = self.state
            repeated.state = hidden.repeat_interleave(count, dim=1), cell.repeat_interleave(count, dim=1)
        return repeated

    def reserve(self, size: int) -> None:
        """Do nothing: a state grows with no token."""

    def fork(self) -> LstmCache:
        """Return a cache that goes on from here."""
        return copy(self)

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        return 0 if self.state is None else sum(part.nbytes for part in self.state)


class Lstm(nn.Module):
    """An LSTM (Hochreiter and Schmidhuber 1997; Zaremba et al. 2014, 1409.2329) with an output layer of its own."""

    def __init__(self, geometry: LstmGeometry) -> None:
        super().__init__()
        self.geometry = geometry
        self.embed_tokens = nn.Embedding(geometry.vocab_size, geometry.embedding_size)
        self.lstm = nn.LSTM(geometry.embedding_size, geometry.hidden_size, geometry.num_hidden_layers, batch_first=True)
        self.lm_head = nn.Linear(geometry.hidden_size, geometry.vocab_size)

    def reading(self, position: Position, mask: Mask, attention: Attention) -> Lstm:
        """Return the network itself: it has no heads that the three seams could act on."""
        return self

    def new_cache(self) -> LstmCache:
        """Return an empty state."""
        return LstmCache()

    def hidden(
        self, tokens: Tensor, positions: Tensor, documents: Tensor | None = None, cache: LstmCache | None = None
    ) -> Tensor:
        """Return the hidden states [B, S, W] of `tokens` [B, S]; `cache` carries the state from call to call.

        `positions` and `documents` are not used: order is time, and forgetting at a document's end has to be learnt.
        """
        states, state = self.lstm(self.embed_tokens(tokens), None if cache is None else cache.state)
        if cache is not None:
            cache.state = state
        hidden: Tensor = states
        return hidden

    def penalty(self) -> None:
        """Return None: nothing is added to the loss."""

    def settle(self) -> None:
        """Do nothing: any weight has a meaning."""

    @property
    def unembedding(self) -> Unembedding:
        """What turns hidden states into logits."""
        return Unembedding(self.lm_head.weight, self.lm_head.bias, 0.0)
