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
from ctxext.model.pieces import CHUNK, keeps_prefix, pieces, positions_of, through

Model = Any
"""Whatever speaks the model protocol: `hidden`, `unembedding`, `new_cache`."""


def device_of(model: Model) -> torch.device:
    """Return the device on which `model` computes."""
    device: torch.device = model.unembedding[0].device
    return device


def scores(model: Model, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return nll in nats and hits of `targets` [...], which the states `hidden` [..., W] of `model` predict."""
    nll, hit = token_scores(hidden.flatten(0, -2), model.unembedding, targets.flatten())
    if not bool(nll.isfinite().all()):
        raise FloatingPointError("the model's logits are not finite; nothing was scored")
    return nll.view_as(targets), hit.view_as(targets)


def tokens_of_a_pass(model: Model, batch_tokens: int) -> int:
    """Return how many tokens `model` reads at once at most: `batch_tokens`, but no more than pay on its device."""
    return min(batch_tokens, CHUNK) if device_of(model).type == "cpu" else batch_tokens


@dataclass(frozen=True)
class WholeReader:
    """Reads every token that is there; at most `batch_tokens` at once, or one row, of which a long one in pieces."""

    model: Model
    batch_tokens: int
    pace: Pace = QUIET

    def score(self, windows: Tensor, scored: int) -> tuple[Tensor, Tensor]:
        """Return nll and hits [N, k], on the CPU, of the last `scored` tokens of `windows` [N, L]."""
        count, length = windows.shape
        return self.score_at(windows, torch.arange(length - scored, length).expand(count, -1))

    @torch.inference_mode()
    def score_at(self, windows: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return nll and hits [N, P], on the CPU, at the `places` [N, P], above 0, of `windows` [N, L]."""
        most = tokens_of_a_pass(self.model, self.batch_tokens)
        found = [self.score_rows(windows[rows], places[rows], max(most, CHUNK)) for rows in runs(windows, most)]
        return torch.cat([nll for nll, _ in found]), torch.cat([hit for _, hit in found])

    def score_rows(self, windows: Tensor, places: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Return nll and hits [B, P], on the CPU, at `places` [B, P] of `windows` [B, L], `size` tokens a pass."""
        model, device = self.model, device_of(self.model)
        tokens, before = windows.to(device), places.to(device) - 1
        nll = torch.zeros(places.shape, dtype=torch.promote_types(model.unembedding[0].dtype, torch.float32))
        hit = torch.zeros(places.shape, dtype=torch.bool)
        for start, hidden in pieces(model, tokens[:, :-1], size):
            self.pace.tick()
            row, column = ((before >= start) & (before < start + hidden.shape[1])).nonzero(as_tuple=True)
            if len(row):
                states, targets = hidden[row, before[row, column] - start], tokens[row, before[row, column] + 1]
                there = row.cpu(), column.cpu()
                nll[there], hit[there] = (part.cpu() for part in scores(model, states, targets))
        return nll, hit

    @torch.inference_mode()
    def score_behind(self, shared: Tensor, windows: Tensor, scored: int) -> Tensor:
        """Return the nll [N, k], on the CPU, of the last `scored` tokens of `windows` [N, L] behind `shared` ones [P].

        These are read once, where what follows doesn't change them, and each window goes on.
        """
        model, device, before = self.model, device_of(self.model), len(shared)
        if not before or not keeps_prefix(model):
            return self.score(torch.cat((shared.expand(len(windows), -1), windows), dim=1), scored)[0]
        cache, found = model.new_cache(), []
        cache.reserve(before + windows.shape[1])
        for _ in through(model, cache, shared[None].to(device), CHUNK):
            self.pace.tick()
        for tokens in windows.to(device)[:, None]:
            self.pace.tick()
            ((_, hidden),) = through(model, cache.fork(), tokens[:, :-1], tokens.shape[1], before)
            found.append(scores(model, hidden[:, -scored:], tokens[:, -scored:])[0])
        return torch.cat(found).cpu()

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
        count, ends = windows.shape[0], torch.arange(start + size, stop + 1, size)
        rows = torch.arange(count).repeat_interleave(len(ends))
        nll, hit = self.score_ends(windows, rows, ends.repeat(count), size)
        return nll.view(count, -1), hit.view(count, -1)

    @torch.inference_mode()
    def score_ends(self, windows: Tensor, rows: Tensor, ends: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Return nll and hits [M, size] of the last `size` targets before `ends` [M] of `rows` [M], a pass each."""
        before, within = torch.arange(len(self.beginning) - self.trained_length, 0), torch.arange(-size, 0)
        begin, device = torch.tensor(self.beginning, dtype=torch.long), device_of(self.model)
        most, found = tokens_of_a_pass(self.model, self.batch_tokens), []
        for passes in batches(range(len(rows)), most // self.trained_length):
            self.pace.tick()
            row, end = rows[passes.start : passes.stop, None], ends[passes.start : passes.stop, None]
            texts = windows[row, end - 1 + before]
            contexts = torch.cat((begin.expand(len(passes), -1), texts), dim=1).to(device)
            last = self.model.hidden(contexts, positions_of(contexts))[:, -size:]
            found.append(scores(self.model, last, windows[row, end + within].to(device)))
        return torch.cat([nll for nll, _ in found]).cpu(), torch.cat([hit for _, hit in found]).cpu()

    @torch.inference_mode()
    def score_at(self, windows: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return nll and hits [N, P], on the CPU, at the `places` [N, P], above 0, of `windows` [N, L].

        Each is scored as the last of the window that ends with it, those at the windows' ends side by side.
        """
        length, count = windows.shape[1], places.shape[1]
        if bool((places == torch.arange(length - count, length)).all()):
            return self.score(windows, count)
        whole = WholeReader(self.model, self.batch_tokens, self.pace)
        nll, hit = whole.score_at(windows[:, : self.trained_length], places.clamp(max=self.trained_length - 1))
        row, column = (places >= self.trained_length).nonzero(as_tuple=True)
        if len(row):
            alone = self.score_ends(windows, row, places[row, column] + 1, 1)
            nll[row, column], hit[row, column] = (part[:, 0] for part in alone)
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


def runs(windows: Tensor, most: int) -> Iterator[slice]:
    """Yield the rows of `windows` [N, L] in runs of at most `most` tokens, or one by one."""
    count, length = windows.shape
    for rows in batches(range(count), most // length):
        yield slice(rows.start, rows.stop)


def batches(items: range, size: int) -> Iterator[range]:
    """Yield `items` in runs of at most `size`, or one by one where that is 0."""
    for start in range(0, len(items), max(1, size)):
        yield items[start : start + max(1, size)]
