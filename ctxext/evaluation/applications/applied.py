"""An application measured on the pairs of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from importlib.util import find_spec
from typing import Any

from ctxext.data.lettering import lettered
from ctxext.evaluation.applications.application import Application, Item
from ctxext.evaluation.applications.classification import Classification
from ctxext.evaluation.applications.generation import Generation, passages
from ctxext.evaluation.applications.question_answering import QuestionAnswering
from ctxext.evaluation.applications.summarisation import Summarisation
from ctxext.evaluation.applications.translation import Translation
from ctxext.evaluation.found import Found
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import Ledger, OutOfMemoryError
from ctxext.evaluation.reader import Reader
from ctxext.evaluation.results import Row
from ctxext.evaluation.shortage import AT_ONE_ROW
from ctxext.maths.counted import generator
from ctxext.refusal import require

APPLICATIONS = {
    "question_answering": QuestionAnswering.of,
    "translation": Translation.of,
    "summarisation": Summarisation.of,
    "classification": Classification.of,
    "generation": Generation.of,
}
SCORERS = {"translation": ("sacrebleu", "sacrebleu"), "summarisation": ("rouge_score", "rouge-score")}
"""The package that scores an application, as it is imported and as it is installed."""


def check_scorer(application: str) -> None:
    """Refuse an `application` that is scored by a package that isn't installed."""
    if application in SCORERS:
        module, package = SCORERS[application]
        sentence = f"dataset.application={application} needs the package {package}: pip install ctxext[metrics]"
        require(find_spec(module) is not None, sentence)


def applied(subject: str, reader: Reader, ground: Ground, ledger: Ledger) -> Found:
    """Return the rows of `applications` for `subject`: what `dataset.application` says the pairs of `ground` are.

    A pair counts at the shortest length that holds it and its answer; those that none holds are counted as missing.
    """
    name, rows, missing, records = ground.source.application, list[Row](), list[Row](), list[Row]()
    if not name:
        return Found([], [])
    items = items_of(ground)
    if not items:
        reason = "the documents held out have no pair of input and target"
        return Found([], [{"subject": subject, "what": name, "reason": reason}])
    application, reason = APPLICATIONS[name](ground, items), ""
    for length, mine in by_length(items, application, ground.settings.lengths):
        reason = reason if reason == AT_ONE_ROW else obstacle_of(reader, length, ground)
        try:
            answers = [] if reason else answers_to(mine, name, application, reader, ledger, reader.rows(length, 1))
        except OutOfMemoryError:
            reason = AT_ONE_ROW
        identity: Row = {"subject": subject, "application": name, "length": length}
        if reason:
            said = {"what": name, "reason": f"{len(mine)} of {len(items)} pairs: {reason}"}
            missing.append({"subject": subject, **said} | ({"length": length} if length else {}))
        else:
            rows += rows_of(identity, application, mine, answers, ground)
            records += records_of(identity, application, mine, answers)
    return Found(rows, missing, records)


def items_of(ground: Ground) -> list[Item]:
    """Return at most evaluation.documents pairs of `ground`, in order: the same for every run on the same pairs.

    Texts are generated from plain text too, where there are no pairs.
    """
    pairs, tokenizer = ground.corpus.pairs, lettered(ground.tokenizer)
    if not pairs and ground.source.application == "generation":
        return passages(ground)
    drawn = generator(0, "evaluated pairs").permutation(len(pairs))[: ground.settings.documents]
    items = []
    for index in sorted(drawn.tolist()):
        # As the corpus encodes them: the border between source and target is a token's.
        texts = (pairs[index].source + "\n", pairs[index].targets[0])
        prompt, target = (tokenizer.encode(text, add_special_tokens=False).ids for text in texts)
        prompt = [*ground.corpus.beginning, *prompt]
        items.append(Item(index, pairs[index], prompt, target, len(texts[1].encode())))
    return items


def by_length(
    items: Sequence[Item], application: Application, lengths: Sequence[int]
) -> Iterator[tuple[int, list[Item]]]:
    """Yield each of `lengths` with those `items` that need it, shorter ones first, and 0 with those that need more."""
    needed = [len(item.prompt) + application.room(item) for item in items]
    for low, high in zip((0, *lengths), (*lengths, BEYOND), strict=True):
        mine = [item for item, tokens in zip(items, needed, strict=True) if low < tokens <= high]
        if mine:
            yield 0 if high == BEYOND else high, sorted(mine, key=lambda item: (len(item.prompt), len(item.target)))


BEYOND = 1 << 60
SHOWN = 3
"""Answers that the results hold as samples, of each subject, length and group."""
LONGEST = 500
"""Characters of the source of a sample."""


def obstacle_of(reader: Reader, length: int, ground: Ground) -> str:
    """Return why `reader` can't read pairs of `length`, or nothing."""
    longest = ground.settings.lengths[-1]
    return reader.obstacle(length) if length else f"longer than {longest}, the longest of evaluation.lengths"


def answers_to(
    items: Sequence[Item], name: str, application: Application, reader: Reader, ledger: Ledger, size: int
) -> list[Any]:
    """Return the answers to `items`, `size` at once, but for those that `ledger` knows."""
    keys = [f"{name} {digest_of(item.prompt, *application.ways(item))}" for item in items]
    return ledger.through(keys, lambda run: application.answers(reader, items[run.start : run.stop]), size)


def digest_of(*parts: object) -> str:
    """Return a short hash of `parts`."""
    return blake2b(repr(parts).encode(), digest_size=12).hexdigest()


def rows_of(
    identity: Row, application: Application, items: Sequence[Item], answers: Sequence[Any], ground: Ground
) -> Iterator[Row]:
    """Yield the rows of `applications` for the `answers` to `items` of one length, group by group."""
    for group in sorted({item.pair.group for item in items}):
        mine = [(item, answer) for item, answer in zip(items, answers, strict=True) if item.pair.group == group]
        chosen, said = [item for item, _ in mine], [answer for _, answer in mine]
        about = identity | {"group": group, "n": len(mine)}
        if group in ground.source.held_out:
            about["held_out"] = True
        first, *others = application.rows(chosen, said)
        yield about | first | {"samples": list(samples_of(application, mine))}
        yield from (about | row for row in others)


def samples_of(application: Application, answers: Sequence[tuple[Item, Any]]) -> Iterator[Row]:
    """Yield the source, the first target and the prediction of the first `answers`, for readers of the report.

    Of a long source the end is kept.
    """
    for item, answer in answers[:SHOWN]:
        source, target = item.pair.source, item.pair.targets[0]
        source = source if len(source) <= LONGEST else f"… {source[-LONGEST:]}"
        yield {"source": source, "target": target, "prediction": application.said(answer)}


def records_of(identity: Row, application: Application, items: Sequence[Item], answers: Sequence[Any]) -> Iterator[Row]:
    """Yield the line of predictions.jsonl for each of the `answers` to `items`."""
    for item, answer in zip(items, answers, strict=True):
        pair = item.pair
        about = {"group": pair.group, "index": item.number, "source": pair.source, "targets": list(pair.targets)}
        about |= {"prediction": application.said(answer), "scores": application.scores(item, answer)}
        yield identity | about | {"weight": application.weight(item)}
