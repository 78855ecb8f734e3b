"""One fixed passage of each text, read at rising absolute positions behind neutral filler.

Shapes: N documents, P tokens of the passage, k scored tokens at its end.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ctxext.data.material import CorpusMaterial
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.reader import Reader, TruncatedReader, WholeReader
from ctxext.evaluation.results import Row
from ctxext.evaluation.text.lines import lines_at
from ctxext.maths.counted import generator
from ctxext.maths.intervals import ratio_bootstrap
from ctxext.model.pieces import keeps_prefix
from ctxext.tasks import recall


def filler_of(ground: Ground) -> Tensor:
    """Return the tokens of filler sentences that stand before the passage at the longest length, the last one whole."""
    lengths, draw = ground.settings.lengths, generator(0, "filler of shift", 0)
    encode, tokens = CorpusMaterial(ground.corpus, ground.tokenizer).encode, list[int]()
    room = lengths[-1] - lengths[0]
    while len(tokens) < room:
        tokens = encode(recall.filler(draw)) + tokens
    return torch.tensor(tokens[len(tokens) - room :], dtype=torch.long)


def shift_obstacle(reader: Reader, ground: Ground) -> str:
    """Return why no passage is shifted for `reader`, or nothing if it is."""
    return "it reads every token from position 0 on" if isinstance(reader, TruncatedReader) else ""


def shift(reader: Reader, ground: Ground, ledger: Ledger, length: int) -> Row:
    """Return the mean nll of the last k tokens of the passages, which end a text of `length` and fill `lengths[0]`."""
    settings, windows = ground.settings, ground.windows
    scored, size = settings.scored_tokens, settings.lengths[0]
    assert isinstance(reader, WholeReader), "the control has no shift"
    begun = windows.begun(filler_of(ground)[None, size - length :])[0]
    passage = size - len(windows.beginning)
    counted = windows.targets[:, -scored:].double()

    def score(run: range) -> list[float]:
        rows = slice(run.start, run.stop)
        nll = reader.score_behind(begun, windows.tokens[rows, -passage:], scored)
        sums: list[float] = (nll.double() * counted[rows]).sum(dim=1).tolist()
        return sums

    keys = [f"shift {ground.text_digest} {size} {length} {scored} {n}" for n in range(len(windows.names))]
    if length == size:
        nll = np.array([line["nll"] for line in lines_at(reader, ground, ledger, length)])
    else:
        shared = keeps_prefix(reader.model)  # then the filler is read once for all
        nll = np.array(ledger.through(keys, score, len(keys) if shared else reader.rows(length, scored)))
    counts = counted.sum(dim=1).numpy()
    low, high = ratio_bootstrap(nll, counts)
    value = float(nll.sum() / counts.sum())
    return {"value": value, "low": low, "high": high, "n": int(counts.sum()), "position": length - passage}
