"""Steps without numbers."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from ctxext.data.rows import Batch
from ctxext.training.settings import Trainer
from ctxext.training.soundness import check_skips, leave_out, unsound

SETTINGS = Trainer(8, 96, 1, 0.01, 0.1, 2, 0.1, 0.9, 0.95, 1.0, 3, 9, "auto", "fp32", False)
TOKENS = torch.arange(12).view(2, 6)
BATCH = Batch(TOKENS[:, :-1], TOKENS[:, 1:], torch.ones(2, 5), TOKENS[:, :-1] * 3, None, ["text/7", "recall/1"])


@pytest.mark.parametrize(
    ("loss", "norm", "said"),
    [
        (1.0, 2.0, ""),
        (0.0, 0.0, ""),
        (math.nan, 2.0, "the loss is nan"),
        (1.0, math.inf, "the gradient norm is inf"),
        (-math.inf, math.nan, "the loss is -inf"),
    ],
)
def test_what_is_no_number_is_named(loss: float, norm: float, said: str) -> None:
    assert unsound(loss, norm) == said


def test_it_stops_with_the_step_the_samples_and_the_batch_in_a_file(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError) as raised:
        leave_out(BATCH, 12, "the loss is nan", SETTINGS, tmp_path / "run")

    sentence, path = str(raised.value), tmp_path / "run" / "nonfinite-00000012.safetensors"
    assert sentence.startswith("step 12: the loss is nan on rows text/7, recall/1; nothing was updated")
    assert str(path) in sentence
    assert "trainer.nonfinite=skip" in sentence
    kept = load_file(path)
    assert kept.keys() == {"tokens", "targets", "weights", "positions"}
    assert torch.equal(kept["targets"], BATCH.targets)
    assert torch.equal(kept["positions"], BATCH.positions)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"step": "12", "reason": "the loss is nan", "samples": "text/7, recall/1"}


def test_it_goes_on_where_such_batches_are_skipped(tmp_path: Path) -> None:
    leave_out(BATCH, 12, "the loss is nan", replace(SETTINGS, nonfinite="skip"), tmp_path)

    assert (tmp_path / "nonfinite-00000012.safetensors").is_file()


def test_too_many_in_a_row_end_it_and_one_fewer_does_not() -> None:
    settings = replace(SETTINGS, nonfinite="skip", nonfinite_limit=2)
    check_skips(1, 7, settings)
    with pytest.raises(FloatingPointError, match=r"step 7: no update in 2 steps in a row, trainer\.nonfinite_limit=2"):
        check_skips(2, 7, settings)
