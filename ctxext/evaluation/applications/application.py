"""What every application has: how a model is asked about a pair, and how its answers are scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ctxext.data.pairs import Pair
from ctxext.data.tokenizer import end_token
from ctxext.evaluation.answers.continuation import Cue, Ending, continued, likeliest
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.reader import Reader
from ctxext.evaluation.results import Row
from ctxext.maths.intervals import RESAMPLES, Vector, ratio_bootstrap, resamples_of, wilson


class Item(NamedTuple):
    """A pair, its `number` in the corpus, the tokens of its source (`prompt`) and of its first target."""

    number: int
    pair: Pair
    prompt: list[int]
    target: list[int]
    target_bytes: int


class Application:
    """How pairs are asked and scored; an answer is whatever JSON holds, and is kept for other runs."""

    def room(self, item: Item) -> int:
        """Return how many tokens are to follow the prompt of `item`."""
        raise NotImplementedError

    def ways(self, item: Item) -> tuple[Any, ...]:
        """Return all on which the answer to `item` depends, beside its prompt and the model."""
        raise NotImplementedError

    def answers(self, reader: Reader, items: Sequence[Item]) -> list[Any]:
        """Return what the model of `reader` answers to each of `items`."""
        raise NotImplementedError

    def rows(self, items: Sequence[Item], answers: Sequence[Any]) -> list[Row]:
        """Return metric, value, and, where there is one, the interval, of the `answers` to `items` of one group."""
        raise NotImplementedError

    def scores(self, item: Item, answer: Any) -> dict[str, float]:
        """Return by metric what `answer` to `item` scores alone, where the metric's value is the mean of these."""
        raise NotImplementedError

    def weight(self, item: Item) -> int:
        """Return the weight of `item` in the mean of scores."""
        return 1

    def said(self, answer: Any) -> str:
        """Return `answer` as a text."""
        raise NotImplementedError

    def values(self, metric: str, items: Sequence[Item], answers: Sequence[Any]) -> list[float]:
        """Return what each of the `answers` to `items` scores alone by `metric`."""
        return [self.scores(item, answer)[metric] for item, answer in zip(items, answers, strict=True)]


@dataclass(frozen=True)
class Written(Application):
    """An answer written greedily: at most `budget` tokens, to the `ending`."""

    most: ClassVar[int]

    ending: Ending
    budget: int

    @classmethod
    def of(cls, ground: Ground, items: Sequence[Item]) -> Application:
        """Return the application to `items`: the budget is their longest target and its end, and `most` at most.

        It leaves half of the trained length to the prompt, since the truncation control has no more.
        """
        longest = max(len(item.target) for item in items) + 1
        return cls(ending_of(ground, items), max(1, min(cls.most, longest, ground.trained_length // 2)))

    def room(self, item: Item) -> int:
        return self.budget

    def ways(self, item: Item) -> tuple[Any, ...]:
        return (self.budget, self.ending.stop)

    def answers(self, reader: Reader, items: Sequence[Item]) -> list[str]:
        cues = [Cue(reader.prompt(item.prompt, self.budget), self.budget) for item in items]
        written = continued(reader.model, cues, likeliest, self.ending.is_over)
        return [self.ending.text(tokens).strip() for tokens in written]

    def said(self, answer: Any) -> str:
        return str(answer)


def ending_of(ground: Ground, items: Sequence[Item]) -> Ending:
    """Return where a text that answers `items` ends: on a new line too, unless a target has several."""
    is_one_line = not any("\n" in target for item in items for target in item.pair.targets)
    return Ending(ground.tokenizer, end_token(ground.tokenizer), "\n" if is_one_line else "")


def mean_row(metric: str, values: Sequence[float]) -> Row:
    """Return the mean of `values` by `metric` with its bootstrap."""
    found = np.array(values, dtype=np.float64)
    low, high = ratio_bootstrap(found, np.ones(len(found)))
    return {"metric": metric, "value": float(found.mean()), "low": low, "high": high}


def share_row(metric: str, hits: Sequence[float]) -> Row:
    """Return the share of `hits`, each 0 or 1, by `metric` with Wilson's interval."""
    low, high = wilson(sum(hits), len(hits))
    return {"metric": metric, "value": sum(hits) / len(hits), "low": low, "high": high}


def resampled_row(metric: str, count: int, statistic: Callable[[Any], float], resamples: int = RESAMPLES) -> Row:
    """Return `statistic` of the numbers of all `count` pairs by `metric`, with the bootstrap of `resamples` of them."""
    values: Vector = np.array([statistic(drawn) for drawn in resamples_of(count, resamples, 0)])
    low, high = np.percentile(values, [2.5, 97.5])
    return {"metric": metric, "value": statistic(np.arange(count)), "low": float(low), "high": float(high)}
