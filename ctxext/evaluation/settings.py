"""The settings of evaluation: the schema of `evaluation`."""

from collections.abc import Sequence
from dataclasses import dataclass

from ctxext.evaluation.results import SUBJECTS
from ctxext.refusal import nearest, require
from ctxext.tasks.suite import TASKS, Suite

RANK, GENERATION = "rank", "generation"
SCORINGS = (RANK, GENERATION)
MEASURES = ("longppl", "sliding", "sliding_yarn", "shift")
LONGEST = 1 << 22
"""The most tokens of any length: whether a composition could have an effect is told from all positions up to there."""


@dataclass
class Rules:
    """The bars of each rule of effective length; one without a bar is left out."""

    nll: list[float]
    own_nll: list[float]
    score: list[float]
    own_score: list[float]
    absolute: list[float]

    def __post_init__(self) -> None:
        """Refuse negative margins, and shares and scores that are not above 0 and at most 1."""
        for name in ("nll", "own_nll"):
            bad = [margin for margin in getattr(self, name) if not 0 <= margin < float("inf")]
            require(not bad, f"evaluation.effective.{name} must hold margins in nats of at least 0, got {bad}")
        for name in ("score", "own_score", "absolute"):
            bad = [share for share in getattr(self, name) if not 0 < share <= 1]
            require(not bad, f"evaluation.effective.{name} must hold scores above 0 and at most 1, got {bad}")
        for name, bars in vars(self).items():
            require(len(set(bars)) == len(bars), f"evaluation.effective.{name} must name each once, got {bars}")


@dataclass
class Evaluation:
    """What is measured; what each key means stands beside it in conf/evaluation/default.yaml."""

    lengths: list[int]
    scored_tokens: int
    documents: int
    subjects: list[str]
    tasks: list[str]
    depths: list[float]
    samples: int
    every: int
    batch_tokens: int
    truncated_stride: int
    scoring: str
    measures: list[str]
    stride: int
    effective: Rules
    repeats: int
    parameters: Suite

    def __post_init__(self) -> None:
        """Refuse values out of range, unsorted lengths, and names that don't exist."""
        for name in ("scored_tokens", "documents", "samples", "batch_tokens", "stride"):
            require(getattr(self, name) > 0, f"evaluation.{name} must be above 0, got {getattr(self, name)}")
        require(
            1 <= self.truncated_stride <= self.scored_tokens,
            f"evaluation.truncated_stride must be from 1 to evaluation.scored_tokens={self.scored_tokens}, "
            f"got {self.truncated_stride}",
        )
        require(self.every >= 0, f"evaluation.every must be at least 0, got {self.every}")
        require(bool(self.lengths), "evaluation.lengths must name a length, got []")
        rising = self.lengths == sorted(set(self.lengths))
        require(rising, f"evaluation.lengths must rise, each once, got {self.lengths}")
        require(
            self.lengths[-1] <= LONGEST, f"evaluation.lengths must be at most {LONGEST} tokens, got {self.lengths[-1]}"
        )
        shortest = self.lengths[0]
        require(
            shortest > self.scored_tokens,
            f"evaluation.lengths must all be above evaluation.scored_tokens={self.scored_tokens}, got {shortest}; "
            f"choose evaluation.scored_tokens={max(shortest // 2, 1)}, or longer evaluation.lengths",
        )
        outside = [depth for depth in self.depths if not 0 <= depth <= 1]
        require(not outside, f"evaluation.depths must be from 0 to 1, got {outside}")
        require(not self.tasks or bool(self.depths), "evaluation.depths must name a depth for evaluation.tasks, got []")
        check_known("subjects", self.subjects, SUBJECTS)
        check_known("tasks", self.tasks, TASKS)
        check_known("measures", self.measures, MEASURES)
        check_known("scoring", [self.scoring], SCORINGS)
        require(self.repeats >= 0, f"evaluation.repeats must be at least 0, got {self.repeats}")


def check_known(name: str, chosen: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a member of evaluation.`name` that isn't `known`, or that comes twice."""
    for word in chosen:
        rule = f"evaluation.{name} must be among {', '.join(known)}, got {word!r}"
        require(word in known, rule + nearest(word, known))
    require(len(set(chosen)) == len(chosen), f"evaluation.{name} must name each once, got {list(chosen)}")
