"""A text is read once, then goes on token by token through the cache.

Shapes: S tokens, V vocabulary, W hidden size.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import torch
from torch import Tensor

from ctxext.generation.sampling import Sampling

CHUNK = 1024
"""Prompt tokens read at once: more would take memory with the prompt's length where a cache doesn't."""


class Continuation:
    """The tokens with which `model` goes on from a prompt; `cache` is what it remembers so far."""

    def __init__(self, model: Any, prompt: Sequence[int], sampling: Sampling) -> None:
        """Read nothing yet; `prompt` holds at least one token."""
        assert prompt, "there is nothing to go on from"
        self.model, self.prompt, self.sampling = model, list(prompt), sampling
        self.cache = model.new_cache()
        self.read = 0

    def tokens(self) -> Iterator[int]:
        """Yield one token after the other, without end, or until the model has no more positions."""
        hidden, limit = self.prefill(), limit_of(self.model)
        for number in count():
            token = self.sampling.choose(next_logits(self.model, hidden), number)
            yield token
            if limit is not None and self.read >= limit:
                return
            hidden = self.go_on([token])

    def prefill(self) -> Tensor:
        """Return the last state [W] of the prompt, read in chunks where these change nothing."""
        size = CHUNK if keeps_prefix(self.model) else len(self.prompt)
        for start in range(0, len(self.prompt), size):
            hidden = self.go_on(self.prompt[start : start + size])
        return hidden

    @torch.inference_mode()
    def go_on(self, tokens: list[int]) -> Tensor:
        """Return the last state [W] after the next `tokens`."""
        device = self.model.unembedding[0].device
        positions = torch.arange(self.read, self.read + len(tokens), device=device)[None]
        self.read += len(tokens)
        hidden: Tensor = self.model.hidden(torch.tensor([tokens], device=device), positions, cache=self.cache)
        return hidden[0, -1]


@torch.inference_mode()
def next_logits(model: Any, hidden: Tensor) -> Tensor:
    """Return the logits [V] after the state `hidden` [W] in float32."""
    weight, bias, cap = model.unembedding
    logits = (weight @ hidden if bias is None else torch.addmv(bias, weight, hidden)).float()
    return cap * (logits / cap).tanh() if cap else logits


def limit_of(model: Any) -> int | None:
    """Return how many positions `model` has, or None where there is no limit."""
    position = getattr(model, "position", None)  # an LSTM has none
    limit: int | None = None if position is None else position.limit()
    return limit


def keeps_prefix(model: Any) -> bool:
    """Return whether `model` reads a text as it is read when more follows."""
    seams = (getattr(model, seam, None) for seam in ("position", "mask", "attention"))
    return all(member.keeps_prefix() for member in seams if member is not None)
