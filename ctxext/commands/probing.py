"""The short evaluation every few steps: the loss of validation text at the trained length and at the target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ctxext.config.schema import Run
from ctxext.data.prepare import Prepared
from ctxext.data.tokenizer import byte_lengths
from ctxext.evaluation.reader import WholeReader
from ctxext.evaluation.text.language import choose_windows, drawn_end, score_length

DOCUMENTS = 8


def make_probe(network: Any, run: Run, data: Prepared) -> Callable[[int], dict[str, float]]:
    """Return a function of the step: what `network` scores on validation text, by tag, if it is time for it."""
    every, scored = run.evaluation.every, run.evaluation.scored_tokens
    if every == 0:
        return lambda step: {}
    lengths = sorted({run.base.trained_length, run.context_length})
    sizes, key = byte_lengths(data.tokenizer), "evaluation.every"
    windows = choose_windows(data.validation, lengths[-1], DOCUMENTS, sizes, drawn_end, key)

    def probe(step: int) -> dict[str, float]:
        if step % every and step != run.trainer.steps:
            return {}
        network.eval()
        reader = WholeReader(network, run.evaluation.batch_tokens)
        rows = [score_length(reader, windows, length, scored).row("extended", length) for length in lengths]
        network.train()
        return {f"validation/nll/{row['length']}": row["nll"] for row in rows}

    return probe
