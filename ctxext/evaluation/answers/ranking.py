"""The gold answers' rank among candidates, by log-likelihood.

Shapes: B questions, P prompt tokens, A answer tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ctxext.evaluation.reader import Reader, batches, device_of, scores
from ctxext.model.pieces import CHUNK, positions_of, through


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
    found: list[list[int]] = [[] for _ in prompts]
    for numbers in alike(prompts, reader.batch_tokens):
        some = [prompts[number] for number in numbers]
        for number, prompt, nll in zip(numbers, some, candidate_totals(reader, some).T, strict=True):
            found[number] = [int((nll <= nll[gold]).sum()) - 1 for gold in range(prompt.golds)]
    return found


def alike(prompts: Sequence[Prompt], batch_tokens: int) -> Iterator[list[int]]:
    """Yield the numbers of those of `prompts` that are of one shape, of at most `batch_tokens` at once, or one."""
    numbers = sorted(range(len(prompts)), key=lambda number: prompts[number].shape)
    for (size, *_), group in groupby(numbers, key=lambda number: prompts[number].shape):
        mine = list(group)
        for run in batches(range(len(mine)), batch_tokens // size):
            yield mine[run.start : run.stop]


def candidate_totals(reader: Reader, prompts: list[Prompt]) -> Tensor:
    """Return the nll [candidates, B] of each answer to `prompts` of one shape, summed over its tokens, in nats.

    The prompts are read once. Their last states tell each candidate's first token, and each goes on for the others.
    """
    model, budget = reader.model, prompts[0].room
    rows = torch.tensor([reader.prompt(prompt.tokens, budget) for prompt in prompts], device=device_of(model))
    cache, before = model.new_cache(), rows.shape[1]
    for _, piece in through(model, cache, rows, CHUNK):
        reader.pace.tick()
        ended = piece[:, -1:]
    totals = []
    for candidate in range(len(prompts[0].answers)):
        answers, counted = padded([prompt.answers[candidate] for prompt in prompts], rows.device)
        states, read = [ended], answers[:, :-1]
        if read.shape[1]:
            states.append(model.hidden(read, positions_of(read) + before, cache=cache.fork()))
        nll, _ = scores(model, torch.cat(states, dim=1), answers)
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
