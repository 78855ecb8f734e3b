"""The gold answers' rank among candidates, by log-likelihood.

Shapes: B questions, P prompt tokens, A answer tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ctxext.evaluation.reader import Reader, device_of, positions_of, scores


class Prompt(NamedTuple):
    """What is read, the candidate `answers` that may follow, and how many of them, the first, are right."""

    tokens: list[int]
    answers: list[list[int]]
    golds: int

    @property
    def room(self) -> int:
        """How many tokens the longest answer takes."""
        return max(map(len, self.answers))

    @property
    def shape(self) -> tuple[int, int, int]:
        """What prompts that are read side by side have in common."""
        return len(self.tokens), self.room, len(self.answers)


@torch.inference_mode()
def ranks(reader: Reader, prompts: Sequence[Prompt]) -> list[list[int]]:
    """Return for each gold answer of each of `prompts` how many other candidates are at least as likely."""
    found: list[list[int]] = []
    # Prompts of one task and length are equally long, but for answers of unlike lengths.
    for _, group in groupby(prompts, key=lambda prompt: prompt.shape):
        alike = list(group)
        totals = candidate_totals(reader, alike)
        for column, prompt in enumerate(alike):
            nll = totals[:, column]
            found.append([int((nll <= nll[gold]).sum()) - 1 for gold in range(prompt.golds)])
    return found


def candidate_totals(reader: Reader, prompts: list[Prompt]) -> Tensor:
    """Return the nll [candidates, B] of each answer to `prompts` of one shape, summed over its tokens, in nats.

    All but the prompts' last tokens are read once, and each candidate goes on.
    """
    model, budget = reader.model, prompts[0].room
    rows = torch.tensor([reader.prompt(prompt.tokens, budget) for prompt in prompts], device=device_of(model))
    first, last = rows[:, :-1], rows[:, -1:]
    cache = model.new_cache()
    model.hidden(first, positions_of(first), cache=cache)
    totals = []
    for candidate in range(len(prompts[0].answers)):
        answers, counted = padded([prompt.answers[candidate] for prompt in prompts], rows.device)
        read = torch.cat((last, answers[:, :-1]), dim=1)
        hidden = model.hidden(read, positions_of(read) + first.shape[1], cache=cache.repeat(1))
        nll, _ = scores(model, hidden, answers)
        totals.append((nll.double() * counted).sum(dim=1))
    return torch.stack(totals)


def padded(answers: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return `answers` [B, A] on `device`, filled up behind their ends, and which of their tokens count [B, A]."""
    rows = [torch.tensor(answer, device=device) for answer in answers]
    counted = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    return pad_sequence(rows, batch_first=True), counted


def share_found(ranks: Sequence[int]) -> float:
    """Return the share of the gold answers with these `ranks` that fewer others than there are golds keep up with.

    With one gold answer it is 1 if every other is less likely, else 0; a tie is wrong.
    """
    return sum(rank < len(ranks) for rank in ranks) / len(ranks)
