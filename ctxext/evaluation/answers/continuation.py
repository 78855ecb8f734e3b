"""What a model writes after prompts, through its cache, and tasks that are answered so.

Shapes: B prompts, V vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from ctxext.data.tokenizer import end_token
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.reader import Model, Reader, device_of
from ctxext.evaluation.results import Row
from ctxext.model.pieces import CHUNK, keeps_prefix, through
from ctxext.tasks.samples import Asked, Question

EXACT, WRITTEN = "exact match", "share written"
"""The metrics: the answer is what is right; of several, how many are written."""


class Cue(NamedTuple):
    """What is read, and how many tokens may be written after it: at least 1."""

    tokens: list[int]
    budget: int


class Ending(NamedTuple):
    """Where a written text ends: before the token `end`, and before the text `stop`, unless that is empty."""

    tokenizer: Tokenizer
    end: int
    stop: str

    def is_over(self, tokens: list[int]) -> bool:
        """Return whether the last of `tokens` ends the text."""
        return tokens[-1] == self.end or bool(self.stop and self.stop in self.tokenizer.decode(tokens))

    def text(self, tokens: list[int]) -> str:
        """Return what `tokens` say before the text ends."""
        said = tokens[: tokens.index(self.end)] if self.end in tokens else tokens
        text: str = self.tokenizer.decode(said)
        return text.split(self.stop)[0] if self.stop else text


Choose = Callable[[Tensor, int, int], int]
"""The next token, from the logits [V], the prompt's number, and how many tokens were written before."""


def likeliest(logits: Tensor, number: int, count: int) -> int:
    """Return the token with the largest of `logits` [V]; of equals, the lowest id."""
    return int((logits == logits.amax()).nonzero()[0])


@torch.inference_mode()
def continued(
    model: Model, cues: Sequence[Cue], choose: Choose, is_over: Callable[[list[int]], bool]
) -> list[list[int]]:
    """Return the tokens that `model` writes after each of `cues`, up to and with the one that `is_over` of them all."""
    found: list[list[int]] = [[] for _ in cues]
    for group in side_by_side(cues, keeps_prefix(model)):
        mine = [cues[number] for number in group]

        def choose_for(logits: Tensor, row: int, count: int, group: list[int] = group) -> int:
            return choose(logits, group[row], count)

        for number, tokens in zip(group, write(model, mine, choose_for, is_over), strict=True):
            found[number] = tokens
    return found


def side_by_side(cues: Sequence[Cue], keeps_prefix: bool) -> Iterator[list[int]]:
    """Yield the numbers of the `cues` read at once: of like lengths where the model `keeps_prefix`, else of equal ones.

    What the longer ones have more is read token by token while the shorter ones go on, which at most doubles the steps.
    """
    numbers = sorted(range(len(cues)), key=lambda number: len(cues[number].tokens))
    while numbers:
        first = cues[numbers[0]]
        longest = len(first.tokens) + (first.budget if keeps_prefix else 0)
        group = [number for number in numbers if len(cues[number].tokens) <= longest]
        yield group
        numbers = numbers[len(group) :]


def write(model: Model, cues: Sequence[Cue], choose: Choose, is_over: Callable[[list[int]], bool]) -> list[list[int]]:
    """Return what `model` writes after each of `cues`, read in one batch; no row is padded.

    Where a row's prompt is longer than others, its own tokens are read in place of those that would be written.
    """
    texts, written = [list(cue.tokens) for cue in cues], [list[int]() for _ in cues]
    going, cache, device = set(range(len(cues))), model.new_cache(), device_of(model)
    read = min(map(len, texts))
    for _, piece in through(model, cache, torch.tensor([text[:read] for text in texts], device=device), CHUNK):
        hidden = piece
    while True:
        logits = logits_of(model, hidden[:, -1])
        for row, text in enumerate(texts):
            if len(text) > read:
                continue  # more of its prompt is to be read
            text.append(choose(logits[row], row, len(written[row])) if row in going else text[-1])
            if row in going:
                written[row].append(text[-1])
                if len(written[row]) == cues[row].budget or is_over(written[row]):
                    going.remove(row)
        if not going:
            return written
        rows = torch.tensor([text[read : read + 1] for text in texts], device=device)
        hidden = model.hidden(rows, torch.full_like(rows, read), cache=cache)
        read += 1


def logits_of(model: Model, hidden: Tensor) -> Tensor:
    """Return the logits [B, V] on the CPU after the states `hidden` [B, W] of `model`; raise if one is not finite."""
    logits: Tensor = model.unembedding.logits(hidden).cpu()
    if not bool(logits.isfinite().all()):
        raise FloatingPointError("the model's logits are not finite; nothing was written")
    return logits


def written_scores(reader: Reader, samples: Sequence[Asked], ground: Ground) -> list[Row]:
    """Return metric, score and prediction of each of `samples`; for sets also how many wrong ones were written."""
    questions = [(sample, question) for sample in samples for question in sample.questions]
    cues = [cue_of(reader, sample.tokens + question.tokens, question) for sample, question in questions]
    ending = Ending(ground.tokenizer, end_token(ground.tokenizer), "")
    texts = [ending.text(tokens) for tokens in continued(reader.model, cues, likeliest, ending.is_over)]
    said, rows = iter(texts), []
    for sample in samples:
        mine = [(question, next(said)) for question in sample.questions]
        found = [marks(question.candidates[: question.golds], text) for question, text in mine]
        is_lone = len(mine) == 1 and mine[0][0].golds == 1
        predictions = [text for _, text in mine]
        row = {"metric": EXACT if is_lone else WRITTEN, "score": float(np.mean([share for share, _ in found]))}
        row["prediction"] = predictions[0] if len(predictions) == 1 else predictions
        rows.append(row if is_lone else row | {"extra": sum(extra for _, extra in found)})
    return rows


def cue_of(reader: Reader, prompt: list[int], question: Question) -> Cue:
    """Return how `question`, which ends the `prompt`, is asked of `reader`: with room for all that is right.

    A token more is written than the answer takes, since a number ends where no digit follows; it is never read. Where
    no length has kept that room free, a set has that of one member if the positions end.
    """
    room = question.room
    if reader.obstacle(len(prompt) + room):
        room = max(map(len, question.answers))
    return Cue(reader.prompt(prompt, room), room + 1)


def marks(golds: Sequence[str], text: str) -> tuple[float, int]:
    """Return which share of `golds` is written in `text`, and how many others of their kind are.

    One number must be the first maximal run of digits. Anything else must stand there as whole words.
    """
    golds = [bare(gold) for gold in golds]
    if all(map(is_number, golds)):
        runs = re.findall("[0-9]+", text)
        counted = runs[:1] if len(golds) == 1 else runs
        return sum(gold in counted for gold in golds) / len(golds), len(set(counted) - set(golds))
    known = {word for gold in golds for word in words(gold)} | {"and"}
    share = sum(has_words(text, gold) for gold in golds) / len(golds)
    return share, len(set(words(text)) - known)


def bare(gold: str) -> str:
    """Return `gold` without the space around it and the punctuation at its end."""
    return gold.strip().rstrip(".,;:!?").rstrip()


def is_number(text: str) -> bool:
    """Return whether `text` is a number: nothing but the digits 0 to 9."""
    return text.isascii() and text.isdigit()


def words(text: str) -> list[str]:
    """Return the words of `text`."""
    return re.findall(r"\w+", text)


def has_words(text: str, gold: str) -> bool:
    """Return whether `gold` stands in `text` with no letter or digit at either side, whatever space is within it."""
    pattern = r"\s+".join(map(re.escape, gold.split()))
    return bool(pattern) and re.search(rf"(?<!\w){pattern}(?!\w)", text) is not None
