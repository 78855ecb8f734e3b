"""A text is read once, then goes on token by token through the cache.

Shapes: V vocabulary, W hidden size.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import torch
from torch import Tensor

from ctxext.generation.sampling import Sampling
from ctxext.model.pieces import keeps_prefix

CHUNK = 1024
"""Prompt tokens read at once: more would take memory with the prompt's length where a cache doesn't."""


class Continuation:
    """The tokens with which `model` goes on from a prompt; `cache` is what it remembers so far."""

    def __init__(self, model: Any, prompt: Sequence[int], sampling: Sampling, room: int = 0) -> None:
        """Read nothing yet; `prompt` holds at least one token, and room is made for `room` tokens after it at once."""
        assert prompt, "there is nothing to go on from"
        self.model, self.prompt, self.sampling = model, list(prompt), sampling
        self.cache, self.unembedding = model.new_cache(), model.unembedding
        self.cache.reserve(len(prompt) + room)
        self.read = 0

    def tokens(self) -> Iterator[int]:
        """Yield one token after the other, without end, or until the model has no more positions."""
        logits, limit = self.prefill(), limit_of(self.model)
        for number in count():
            token = self.sampling.choose(logits, number)
            yield token
            if limit is not None and self.read >= limit:
                return
            logits = self.go_on([token])

    def prefill(self) -> Tensor:
        """Return the logits [V] after the prompt, read in chunks where these change nothing."""
        size = CHUNK if keeps_prefix(self.model) else len(self.prompt)
        for start in range(0, len(self.prompt), size):
            logits = self.go_on(self.prompt[start : start + size])
        return logits

    @torch.inference_mode()
    def go_on(self, tokens: list[int]) -> Tensor:
        """Return the logits [V] after the next `tokens`."""
        device = self.unembedding[0].device
        positions = torch.arange(self.read, self.read + len(tokens), device=device)[None]
        self.read += len(tokens)
        hidden = self.model.hidden(torch.tensor([tokens], device=device), positions, cache=self.cache)
        return next_logits(self.unembedding, hidden[0, -1])


def next_logits(unembedding: tuple[Tensor, Tensor | None, float], hidden: Tensor) -> Tensor:
    """Return the logits [V] in float32 that `unembedding`, weight, bias and cap, makes of the state `hidden` [W]."""
    weight, bias, cap = unembedding
    logits = (torch.mv(weight, hidden) if bias is None else torch.addmv(bias, weight, hidden)).float()
    return cap * (logits / cap).tanh() if cap else logits


def limit_of(model: Any) -> int | None:
    """Return how many positions `model` has, or None where there is no limit."""
    position = getattr(model, "position", None)  # an LSTM has none
    limit: int | None = None if position is None else position.limit()
    return limit
