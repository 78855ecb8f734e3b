"""Retrieval: the gold answer's rank among candidates, by log-likelihood.

Shapes: B samples, P prompt tokens, A answer tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ctxext.evaluation.reader import Reader, device_of, positions_of, scores
from ctxext.evaluation.results import Row
from ctxext.evaluation.settings import Evaluation
from ctxext.maths.intervals import wilson
from ctxext.tasks import passkey
from ctxext.tasks.passkey import Sample

METRIC = "accuracy"


def passkey_samples(settings: Evaluation, length: int, encode: Callable[[str], list[int]]) -> list[Sample]:
    """Return the samples of `length`, spread evenly over the depths; the same for every run."""
    depths = settings.depths
    return [
        passkey.sample(0, length, depths[index % len(depths)], index // len(depths), encode)
        for index in range(settings.samples)
    ]


@torch.inference_mode()
def rank_samples(reader: Reader, samples: list[Sample]) -> Iterator[int]:
    """Yield for each of `samples`, all of one length, how many candidates are at least as likely as the gold one."""
    size = max(1, reader.batch_tokens // samples[0].length)
    for start in range(0, len(samples), size):
        # Prompts of one batch are equally long, but for answers of unlike lengths.
        for _, group in groupby(samples[start : start + size], key=lambda sample: (len(sample.prompt), room(sample))):
            yield from rank_batch(reader, list(group))


def room(sample: Sample) -> int:
    """Return how many tokens the longest answer of `sample` takes."""
    return max(map(len, sample.answers))


def rank_batch(reader: Reader, samples: list[Sample]) -> list[int]:
    """Return the gold answers' ranks; all but the prompts' last tokens are read once, and each candidate goes on."""
    model, budget = reader.model, room(samples[0])
    prompts = torch.tensor([reader.prompt(sample.prompt, budget) for sample in samples], device=device_of(model))
    first, last = prompts[:, :-1], prompts[:, -1:]
    cache = model.new_cache()
    model.hidden(first, positions_of(first), cache=cache)
    totals = []
    for candidate in range(len(samples[0].answers)):
        answers, counted = padded([sample.answers[candidate] for sample in samples], prompts.device)
        read = torch.cat((last, answers[:, :-1]), dim=1)
        hidden = model.hidden(read, positions_of(read) + first.shape[1], cache=cache.repeat(1))
        nll, _ = scores(model, hidden, answers)
        totals.append((nll.double() * counted).sum(dim=1))
    gold, others = totals[0], torch.stack(totals[1:])
    return [int(rank) for rank in (others <= gold).sum(dim=0)]


def padded(answers: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return `answers` [B, A] on `device`, filled up behind their ends, and which of their tokens count [B, A]."""
    rows = [torch.tensor(answer, device=device) for answer in answers]
    counted = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    return pad_sequence(rows, batch_first=True), counted


def sample_record(subject: str, sample: Sample, rank: int) -> Row:
    """Return the line of samples.jsonl for `sample` as scored by `subject`."""
    return {
        "subject": subject,
        "task": sample.task,
        "length": sample.length,
        "depth": sample.depth,
        "index": sample.index,
        "seed": sample.seed,
        "positions": sample.positions,
        "answer": sample.candidates[0],
        "candidates": sample.candidates,
        "rank": rank,
    }


def task_rows(records: Iterable[Row]) -> list[Row]:
    """Return the rows of `tasks`: the accuracy of `records`, all of one task and length, over all and by depth."""
    records = list(records)
    rows = []
    for depth in ["all", *sorted({record["depth"] for record in records})]:
        chosen = [record for record in records if depth in ("all", record["depth"])]
        correct = sum(record["rank"] == 0 for record in chosen)
        low, high = wilson(correct, len(chosen))
        identity = {key: records[0][key] for key in ("subject", "task", "length")} | {"depth": depth, "metric": METRIC}
        value = {"value": correct / len(chosen), "chance": 1 / passkey.CANDIDATES, "n": len(chosen)}
        rows.append(identity | value | {"low": low, "high": high})
    return rows
