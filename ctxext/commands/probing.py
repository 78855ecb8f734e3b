"""The short evaluation every few steps: the loss of validation text at the trained length and at the target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ctxext.config.schema import Run
from ctxext.data.prepare import Prepared
from ctxext.data.tokenizer import byte_lengths
from ctxext.evaluation.reader import WholeReader
from ctxext.evaluation.text.language import choose_windows, drawn_end, score_length
from ctxext.parallel.sharding import rest

DOCUMENTS = 8


def make_probe(network: Any, run: Run, data: Prepared) -> Callable[[int], dict[str, float]]:
    """Return a function of the step: what `network` scores on validation text, by tag, if it is time for it."""
    every, lengths = run.evaluation.every, probed(run, data)
    if every == 0 or not lengths:
        return lambda step: {}
    scored = min(run.evaluation.scored_tokens, lengths[0] - 1)
    sizes, key = byte_lengths(data.tokenizer), "evaluation.every"
    windows = choose_windows(data.validation, lengths[-1], DOCUMENTS, sizes, drawn_end, key)

    def probe(step: int) -> dict[str, float]:
        if step % every and step != run.trainer.steps:
            return {}
        network.eval()
        reader = WholeReader(network, run.evaluation.batch_tokens)
        rows = [score_length(reader, windows, length, scored).row("extended", length) for length in lengths]
        network.train()
        rest(network)
        return {f"validation/nll/{row['length']}": row["nll"] for row in rows}

    return probe


def wanted(run: Run) -> list[int]:
    """Return the lengths that the training of `run` is about."""
    return sorted({run.base.trained_length, run.context_length})


def probed(run: Run, data: Prepared) -> list[int]:
    """Return the lengths that are measured: those wanted, or of pairs, which are as long as they are, those there are.

    Where all pairs held out are shorter, it is the longest that `DOCUMENTS` of them have, or all if there are fewer.
    """
    if data.train.targets is None:
        return wanted(run)
    spans = np.sort(np.diff(data.validation.starts) - 1)
    found = [length for length in wanted(run) if length <= spans.max(initial=0)]
    common = spans[-DOCUMENTS:][:1].tolist()
    return found or [length for length in common if length > 1]


def shortfall(run: Run, data: Prepared) -> str:
    """Return which lengths are measured in place of those wanted, in words, or nothing."""
    found = probed(run, data)
    if run.evaluation.every == 0 or found == wanted(run):
        return ""
    lacking = " or ".join(str(length) for length in wanted(run) if length not in found)
    if not found:
        return "evaluation.every measures nothing: no pairs are held out for validation; raise dataset.validation_share"
    return f"evaluation.every measures pairs of {found[-1]} tokens: none held out for validation has {lacking}"
