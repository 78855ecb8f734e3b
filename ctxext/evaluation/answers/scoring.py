"""Tasks scored: a record for each sample, and the rows of `tasks` that follow from the records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ctxext.evaluation.answers.continuation import written_scores
from ctxext.evaluation.answers.dictation import shares_right
from ctxext.evaluation.answers.ranking import Prompt, ranks, share_found
from ctxext.evaluation.ground import Ground, digest_of
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.reader import Reader
from ctxext.evaluation.results import Row
from ctxext.evaluation.settings import GENERATION
from ctxext.maths.intervals import wilson
from ctxext.tasks.samples import Asked, Dictated, Sample

FIRST, SHARE, TOKENS = "accuracy", "share found", "token accuracy"
"""The metrics: the gold answer is the likeliest; of several, how many are; how many labelled tokens are the argmax."""


def score_samples(subject: str, reader: Reader, samples: list[Sample], ground: Ground, ledger: Ledger) -> list[Row]:
    """Return the line of samples.jsonl for each of `samples`, all of one task and length, as `subject` reads them."""
    if not samples:
        return []
    scoring = ground.settings.scoring

    def score(run: range) -> Sequence[Row]:
        chosen = [samples[number] for number in run]
        if isinstance(chosen[0], Dictated):
            return [{"metric": TOKENS, "score": share} for share in shares_right(reader, chosen)]  # type: ignore[arg-type]
        if scoring == GENERATION:
            return written_scores(reader, chosen, ground)  # type: ignore[arg-type]
        return ranked(reader, chosen)  # type: ignore[arg-type]

    keys = [f"{scoring} {digest_of(sample)}" for sample in samples]
    size = max(1, ground.settings.batch_tokens // max(len(sample.tokens) for sample in samples))
    found = ledger.through(keys, score, size)
    is_by_depth = ground.settings.parameters.task(samples[0].place.task).is_by_depth
    return [
        record(subject, sample, depth_of(sample, is_by_depth), scored)
        for sample, scored in zip(samples, found, strict=True)
    ]


def ranked(reader: Reader, samples: Sequence[Asked]) -> list[Row]:
    """Return score and, of a lone gold answer, rank of each of `samples`."""
    prompts = [
        Prompt(sample.tokens + question.tokens, question.answers, question.golds)
        for sample in samples
        for question in sample.questions
    ]
    found, rows = iter(ranks(reader, prompts)), []
    for sample in samples:
        mine = [next(found) for _ in sample.questions]
        score = float(np.mean([share_found(golds) for golds in mine]))
        alone = len(mine) == 1 and len(mine[0]) == 1
        rows.append({"metric": FIRST, "rank": mine[0][0]} if alone else {"metric": SHARE, "score": score})
    return rows


def record(subject: str, sample: Sample, depth: float, scored: Row) -> Row:
    """Return the line of samples.jsonl for `sample`, its evidence at `depth`, as scored by `subject`.

    What stands alone stands without a list.
    """
    place = vars(sample.place)
    answers: list[Any] = []
    candidates: list[Any] = []
    if isinstance(sample, Asked):
        answers = [lone(question.candidates[: question.golds]) for question in sample.questions]
        candidates = [question.candidates for question in sample.questions]
    elif isinstance(sample, Dictated):
        answers = [[sample.tokens[label] for label in sample.labels]]
    line = {"subject": subject, **place, "depth": depth, "positions": sample.positions}
    return (
        line
        | {"answer": lone(answers), "candidates": lone(candidates)}
        | {"chance": chance_of(sample, scored["metric"])}
        | scored
    )


def lone(items: list[Any]) -> Any:
    """Return the only one of `items`, or all of them."""
    return items[0] if len(items) == 1 else items


def depth_of(sample: Sample, is_by_depth: bool) -> float:
    """Return where the evidence of `sample` stands, 0 at the start of its text and 1 at the end: as asked, or found."""
    if is_by_depth or not sample.positions:
        return sample.place.depth
    return round(sample.positions[0] / len(sample.tokens), 4)


def chance_of(sample: Sample, metric: str) -> float:
    """Return the score of a guess by `metric`; nobody writes an answer by chance."""
    if isinstance(sample, Dictated):
        return sample.chance
    assert isinstance(sample, Asked)
    if metric not in (FIRST, SHARE):
        return 0.0
    return float(np.mean([question.golds / len(question.candidates) for question in sample.questions]))


def score_of(record: Row) -> float:
    """Return the score of a line of samples.jsonl, from 0 to 1: what it says, or whether its rank is the first."""
    return float(record["score"]) if "score" in record else float(record["rank"] == 0)


def task_rows(records: Iterable[Row], is_by_depth: bool) -> list[Row]:
    """Return the rows of `tasks` for `records` of one task and length: over all, and by depth where there are any."""
    records = list(records)
    depths = sorted({record["depth"] for record in records if is_by_depth and record["length"]})
    return [
        task_row([record for record in records if depth in ("all", record["depth"])], depth)
        for depth in ["all", *depths]
    ]


def task_row(records: list[Row], depth: float | str) -> Row:
    """Return the row of `records` of one `depth`, with Wilson's interval; shares spread less than right and wrong."""
    values = np.array([score_of(record) for record in records])
    low, high = wilson(float(values.sum()), len(values))
    identity = {key: records[0][key] for key in ("subject", "task", "length")} | {"depth": depth}
    chance = float(np.mean([record["chance"] for record in records]))
    value = {"metric": records[0]["metric"], "value": float(values.mean()), "chance": chance, "n": len(values)}
    return identity | value | {"low": low, "high": high}
