"""LongPPL: the perplexity of those tokens alone that long context makes likely, as an evaluator sees it.

Shapes: N documents, k scored tokens of each.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ctxext.evaluation.ground import Ground, KeyTokens
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.reader import Model, Reader, TruncatedReader
from ctxext.evaluation.results import Row
from ctxext.evaluation.text.lines import lines_at
from ctxext.maths.intervals import paired_bootstrap, ratio_bootstrap

GAIN, LOSS = 2.0, 2.0
"""A token is a key token if long context takes more than GAIN nats off its nll, and leaves less than LOSS."""
FEWEST = 30


def key_tokens(evaluator: str, model: Model, ground: Ground, ledger: Ledger, control: Ledger) -> KeyTokens:
    """Return the key tokens of `ground` in the eyes of `model`, called `evaluator`, whose scores `ledger` keeps.

    Those from a whole trained length are those of the truncation control, and kept in its ledger, `control`.
    """
    reader, length = last_tokens(model, ground, ground.trained_length), ground.settings.lengths[-1]
    whole = token_losses(reader, ground, control, length)
    short = short_losses(model, ground, ledger)
    return KeyTokens(evaluator, (short - whole > GAIN) & (whole < LOSS) & targets(ground))


def last_tokens(model: Model, ground: Ground, reach: int) -> TruncatedReader:
    """Return the reader of the last `reach` tokens before each scored one."""
    beginning = ground.corpus.beginning
    stride = min(ground.settings.truncated_stride, reach - len(beginning))
    return TruncatedReader(model, ground.settings.batch_tokens, reach, stride, beginning)


def targets(ground: Ground) -> Tensor:
    """Return which of the scored tokens are targets [N, k]."""
    return ground.windows.targets[:, -ground.settings.scored_tokens :]


def short_losses(model: Model, ground: Ground, ledger: Ledger) -> Tensor:
    """Return the nll [N, k] of the scored tokens, each from the last half of a trained length before it."""
    reader = last_tokens(model, ground, ground.trained_length // 2)
    return token_losses(reader, ground, ledger, ground.settings.lengths[-1])


def token_losses(reader: Reader, ground: Ground, ledger: Ledger, length: int) -> Tensor:
    """Return the nll [N, k], in doubles, of the scored tokens of windows of `length`, token by token."""
    lines = lines_at(reader, ground, ledger, length)
    return torch.tensor([line["tokens"] for line in lines], dtype=torch.float64)


def longppl_obstacle(reader: Reader, ground: Ground) -> str:
    """Return why there are no key tokens, or too few, or nothing if there are enough."""
    keys = ground.keys
    if isinstance(keys, str):
        return keys
    found, of = int(keys.chosen.sum()), int(targets(ground).sum())
    if found < FEWEST:
        few = f"{found} key tokens of {of} in the eyes of {keys.evaluator}, fewer than {FEWEST}"
        return f"{few}; raise evaluation.documents or evaluation.scored_tokens"
    return ""


def longppl(reader: Reader, ground: Ground, ledger: Ledger, length: int) -> Row:
    """Return the perplexity of the key tokens, which must be there, in windows of `length`."""
    keys = ground.keys
    assert not isinstance(keys, str), keys
    rows = keys.chosen.any(dim=1)  # a resample of documents without one has no mean
    counted = keys.chosen[rows].double()
    nll = (token_losses(reader, ground, ledger, length)[rows] * counted).sum(dim=1).numpy()
    counts = counted.sum(dim=1).numpy()
    low, high = ratio_bootstrap(nll, counts)
    value = math.exp(nll.sum() / counts.sum())
    bounds = {"low": math.exp(low), "high": math.exp(high)}
    return {"value": value, **bounds, "n": int(counts.sum()), "tokens": int(targets(ground).sum())} | {
        "evaluator": keys.evaluator
    }


def gain_obstacle(reader: Reader, ground: Ground) -> str:
    """Return nothing: what long context gains can be told of every subject."""
    return ""


def long_gain(reader: Reader, ground: Ground, ledger: Ledger, length: int) -> Row:
    """Return how many nats a token the subject gains from windows of `length` over half a trained length of context."""
    counted = targets(ground).double()
    short = (short_losses(reader.model, ground, ledger) * counted).sum(dim=1).numpy()
    whole = (token_losses(reader, ground, ledger, length) * counted).sum(dim=1).numpy()
    counts = counted.sum(dim=1).numpy()
    low, high = paired_bootstrap(short, whole, counts)
    value = float((short - whole).sum() / counts.sum())
    return {"value": value, "low": low, "high": high, "n": int(counts.sum())}
