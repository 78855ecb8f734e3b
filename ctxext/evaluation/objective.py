"""What a search asks of a network: how well it predicts held-out text at a length, and the answers of look-ups.

Shapes: N windows, L tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import torch

from ctxext.evaluation.reader import Model, WholeReader
from ctxext.evaluation.text.language import Windows, score_length
from ctxext.tasks.beginning import begun
from ctxext.tasks.passkey import Passkey
from ctxext.tasks.samples import Asked, Material, Place


def unseen_prompts(seed: int, length: int, count: int, material: Material) -> list[Asked]:
    """Return `count` passkey prompts of `length` tokens, spread evenly over the depths, and none of evaluation's.

    Evaluation draws its own from seed 0. A `length` without room for fact, question and answer is refused.
    """
    places = (Place("passkey", seed + 1, length, (index + 0.5) / count, index) for index in range(count))
    task = Passkey(haystack="filler", kind="words")
    samples = [begun(task, place, material) for place in places]
    return [sample for sample in samples if isinstance(sample, Asked)]


@dataclass(frozen=True)
class Objective:
    """The mean nll in nats a token of the last `scored_tokens` of `windows`, and of the right answers of `prompts`."""

    windows: Windows
    scored_tokens: int
    prompts: list[Asked]
    batch_tokens: int

    def text(self, model: Model) -> float:
        """Return the mean nll of the windows' last tokens under `model`."""
        windows = self.windows
        reader = WholeReader(model, self.batch_tokens)
        scored = score_length(reader, windows, windows.length, self.scored_tokens)
        return float(scored.nll.sum() / scored.counts.sum())

    def lookup(self, model: Model) -> float:
        """Return the mean over the prompts of the mean nll of the right answer's tokens under `model`."""
        reader = WholeReader(model, self.batch_tokens)
        means: list[float] = []
        for room, alike in groupby(sorted(self.prompts, key=shape), key=shape):  # rows of one batch are equally long
            rows = torch.tensor([prompt_of(sample) + answer_of(sample) for sample in alike])
            nll, _ = reader.score(rows, room[1])
            means += nll.double().mean(dim=1).tolist()
        return sum(means) / len(means)


def prompt_of(sample: Asked) -> list[int]:
    """Return the tokens of `sample` up to its answer."""
    return sample.tokens + sample.questions[0].tokens


def answer_of(sample: Asked) -> list[int]:
    """Return the tokens of the right answer of `sample`."""
    return sample.questions[0].answers[0]


def shape(sample: Asked) -> tuple[int, int]:
    """Return the lengths of the prompt of `sample` and of its right answer."""
    return len(prompt_of(sample)), len(answer_of(sample))
