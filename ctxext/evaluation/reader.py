"""How a subject reads: the whole window, or only the last `trained_length` tokens before each scored one.

Shapes: N windows, L tokens, k scored tokens at each window's end, W hidden size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ctxext.evaluation.pace import QUIET, Pace
from ctxext.kernels.loss import token_scores

Model = Any
"""Whatever speaks the model protocol: `hidden`, `unembedding`, `new_cache`."""


def positions_of(tokens: Tensor) -> Tensor:
    """Return the positions from 0 of `tokens` [B, S]."""
    return torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape[0], -1)


def device_of(model: Model) -> torch.device:
    """Return the device on which `model` computes."""
    device: torch.device = model.unembedding[0].device
    return device


def scores(model: Model, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return nll in nats and hits of `targets` [B, S], which the states `hidden` [B, S, W] of `model` predict."""
    nll, hit = token_scores(hidden.flatten(0, 1), model.unembedding, targets.flatten())
    if not bool(nll.isfinite().all()):
        raise FloatingPointError("the model's logits are not finite; nothing was scored")
    return nll.view_as(targets), hit.view_as(targets)


@dataclass(frozen=True)
class WholeReader:
    """Reads every token that is there, in one pass; at most `batch_tokens` at once, or one row."""

    model: Model
    batch_tokens: int
    pace: Pace = QUIET

    @torch.inference_mode()
    def score(self, windows: Tensor, scored: int) -> tuple[Tensor, Tensor]:
        """Return nll and hits [N, k], on the CPU, of the last `scored` tokens of `windows` [N, L]."""
        pieces = []
        for rows in batches(range(windows.shape[0]), self.batch_tokens // windows.shape[1]):
            self.pace.tick()
            part = windows[rows.start : rows.stop].to(device_of(self.model))
            hidden = self.model.hidden(part[:, :-1], positions_of(part[:, :-1]))
            pieces.append(scores(self.model, hidden[:, -scored:], part[:, -scored:]))
        return torch.cat([nll for nll, _ in pieces]).cpu(), torch.cat([hit for _, hit in pieces]).cpu()

    @torch.inference_mode()
    def score_at(self, windows: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return nll and hits [N, P], on the CPU, at the `places` [N, P], above 0, of `windows` [N, L]."""
        pieces = []
        for rows in batches(range(windows.shape[0]), self.batch_tokens // windows.shape[1]):
            self.pace.tick()
            part, there = (whole[rows.start : rows.stop].to(device_of(self.model)) for whole in (windows, places))
            hidden = self.model.hidden(part[:, :-1], positions_of(part[:, :-1]))
            before = (there - 1)[:, :, None].expand(-1, -1, hidden.shape[2])
            pieces.append(scores(self.model, hidden.gather(1, before), part.gather(1, there)))
        return torch.cat([nll for nll, _ in pieces]).cpu(), torch.cat([hit for _, hit in pieces]).cpu()

    def obstacle(self, length: int) -> str:
        """Return why a text of `length` tokens can't be read, or nothing if it can."""
        position = getattr(self.model, "position", None)  # an LSTM has none
        limit = None if position is None else position.limit()
        return "" if limit is None or length <= limit else f"its positions end at {limit} tokens"

    def sight(self, length: int, scored: int) -> int:
        """Return how many tokens at the end of a window of `length` the last `scored` ones are scored from: all."""
        return length

    def rows(self, length: int, scored: int) -> int:
        """Return how many windows of `length` are read at once."""
        return max(1, self.batch_tokens // length)

    def prompt(self, tokens: list[int], budget: int) -> list[int]:
        """Return what is read of a prompt of `tokens` that leaves room for `budget` more: all of it."""
        return tokens


@dataclass(frozen=True)
class TruncatedReader:
    """The control: for each scored token, the last `trained_length` tokens of the window before it, from position 0.

    A pass scores `stride` tokens, of which the last sees `trained_length` tokens, and the first `stride - 1` fewer.
    The control tokens `beginning`, with which windows and prompts begin, take the first places of each pass as well.
    """

    model: Model
    batch_tokens: int
    trained_length: int
    stride: int
    beginning: tuple[int, ...] = ()
    pace: Pace = QUIET

    @torch.inference_mode()
    def score(self, windows: Tensor, scored: int) -> tuple[Tensor, Tensor]:
        """Return nll and hits [N, k], on the CPU, of the last `scored` tokens of `windows` [N, L].

        Targets with fewer than `trained_length` tokens before them share the pass that reads the window's start.
        """
        length = windows.shape[1]
        first, pieces = length - scored, []
        if first < self.trained_length:
            shared = min(self.trained_length, length)
            whole = WholeReader(self.model, self.batch_tokens, self.pace)
            pieces.append(whole.score(windows[:, :shared], shared - first))
            first = shared
        rest = first + (length - first) // self.stride * self.stride
        for start, stop, size in ((first, rest, self.stride), (rest, length, length - rest)):
            if start < stop:
                pieces.append(self.score_groups(windows, start, stop, size))
        return torch.cat([nll for nll, _ in pieces], dim=1), torch.cat([hit for _, hit in pieces], dim=1)

    def score_groups(self, windows: Tensor, start: int, stop: int, size: int) -> tuple[Tensor, Tensor]:
        """Return nll and hits [N, stop - start] of the targets at these places, by one pass for `size` of them."""
        groups = (stop - start) // size
        before, within = torch.arange(len(self.beginning) - self.trained_length, 0), torch.arange(-size, 0)
        begin = torch.tensor(self.beginning, dtype=torch.long)
        pieces = []
        for passes in batches(range(windows.shape[0] * groups), self.batch_tokens // self.trained_length):
            self.pace.tick()
            row, end = (
                torch.tensor(passes)[:, None] // groups,
                (torch.tensor(passes)[:, None] % groups + 1) * size + start,
            )
            texts = windows[row, end - 1 + before]
            contexts = torch.cat((begin.expand(len(passes), -1), texts), dim=1).to(device_of(self.model))
            last = self.model.hidden(contexts, positions_of(contexts))[:, -size:]
            pieces.append(scores(self.model, last, windows[row, end + within].to(last.device)))
        nll, hit = (torch.cat(part).view(windows.shape[0], -1).cpu() for part in zip(*pieces, strict=True))
        return nll, hit

    def score_at(self, windows: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return nll and hits [N, P], on the CPU, at the `places` [N, P], above 0, of `windows` [N, L].

        Each is scored as the last of the window that ends with it, those at the windows' ends side by side.
        """
        length, count = windows.shape[1], places.shape[1]
        if bool((places == torch.arange(length - count, length)).all()):
            return self.score(windows, count)
        pairs = [
            self.score(windows[row : row + 1, : place + 1], 1)
            for row, some in enumerate(places.tolist())
            for place in some
        ]
        nll, hit = (torch.cat(part).view(places.shape) for part in zip(*pairs, strict=True))
        return nll, hit

    def obstacle(self, length: int) -> str:
        """Return nothing: what is read of a text, however long, is within the trained length."""
        return ""

    def sight(self, length: int, scored: int) -> int:
        """Return how many tokens at the end of a window of `length` the last `scored` ones are scored from."""
        return min(length, self.trained_length + scored)

    def rows(self, length: int, scored: int) -> int:
        """Return how many windows of `length` are read at once; one whose tokens take a pass each fills more."""
        return max(1, self.batch_tokens // (length if length <= self.trained_length else self.trained_length * scored))

    def prompt(self, tokens: list[int], budget: int) -> list[int]:
        """Return the end of a prompt of `tokens` that leaves room for `budget` more within the trained length.

        It begins as the prompt does.
        """
        room = max(self.trained_length - budget, len(self.beginning) + 1)  # an answer as long leaves the last token
        if len(tokens) <= room:
            return tokens
        return [*self.beginning, *tokens[len(self.beginning) - room :]]


Reader = WholeReader | TruncatedReader


def batches(items: range, size: int) -> Iterator[range]:
    """Yield `items` in runs of at most `size`, or one by one where that is 0."""
    for start in range(0, len(items), max(1, size)):
        yield items[start : start + max(1, size)]
