"""What tuning makes least: validation text, and never the test part."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from ctxext.commands.foundation import prepared
from ctxext.commands.tuning import tuned, validation_nll
from ctxext.config.schema import Run
from ctxext.reporting.journal import Journal


def test_the_loss_is_that_of_validation_text_and_the_test_part_is_not_read(
    tiny: Callable[..., Run], tmp_path: Path
) -> None:
    run = tiny("dataset.validation_share=0.2", "evaluation.documents=100")
    with Journal(tmp_path / "run", "run") as journal:
        data = replace(prepared(run, journal), test=None)
        network = run.model.build(run.position, run.mask, run.attention)
        found = validation_nll(run, data, network, journal)
        assert tuned(run, data, network, journal) is None  # nobody asks
    starts = data.validation.starts
    losses = []
    lengths = np.diff(starts) - 1
    assert lengths.max() >= 64
    for index in np.flatnonzero(lengths >= 64):
        # Any 64 tokens stand for those that are drawn: fresh weights know nothing of them.
        tokens = torch.from_numpy(data.validation.tokens[starts[index] : starts[index] + 64].astype(np.int64))[None]
        with torch.no_grad():
            logits = network.hidden(tokens, torch.arange(64)[None]) @ network.unembedding[0].T
        losses.append(cross_entropy(logits[0, -9:-1], tokens[0, -8:]).item())
    assert found == pytest.approx(sum(losses) / len(losses), rel=0.03)
