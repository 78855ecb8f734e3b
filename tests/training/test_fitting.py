"""Which settings are tried where memory is short, and that they are those that fit."""

from dataclasses import replace

import pytest
import torch

from ctxext.attention.softmax import Softmax
from ctxext.data.rows import Batch
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.training.fitting import parts, remedy, spared
from ctxext.training.memory import forecast
from ctxext.training.settings import Trainer

SETTINGS = Trainer(6, 256, 1, 0.02, 1.0, 0, 0.0, 0.9, 0.95, 1.0, 3, 9, "auto", "fp32", False)


def test_a_step_is_cut_into_twice_as_many_parts_each_time_and_at_last_row_by_row() -> None:
    assert parts(1) == []
    assert parts(2) == [2]
    assert parts(8) == [2, 4, 8]
    assert parts(11) == [2, 4, 8, 11]


def test_the_quickest_settings_come_first() -> None:
    assert [words for words, _ in spared(replace(SETTINGS, accumulate=2), 6)] == [
        "trainer.accumulate=4",
        "trainer.accumulate=6",
        "trainer.gradient_checkpointing=true",
        "trainer.gradient_checkpointing=true trainer.accumulate=4",
        "trainer.gradient_checkpointing=true trainer.accumulate=6",
    ]
    assert [words for words, _ in spared(replace(SETTINGS, gradient_checkpointing=True), 1)] == []


@pytest.mark.parametrize("wanted", range(5))
def test_the_first_that_fits_is_named(wanted: int) -> None:
    network = DecoderGeometry(67, 96, 256, 12, 4, 2, 24, True, 1e-5).build(Rope(10000.0), IntraDocument(), Softmax())
    tokens, weights = torch.arange(1024).remainder(67).view(4, 256), torch.ones(4, 256)
    rows = Batch(tokens, tokens, weights, torch.arange(256).expand(4, 256), None, list("abcd"))
    takes = {words: forecast(network, rows, changed).added for words, changed in spared(SETTINGS, 4)}
    free = sorted(takes.values())[wanted]

    fitting = [words for words, added in takes.items() if added <= free]
    assert remedy(network, rows, SETTINGS, free) == fitting[0]
    assert remedy(network, rows, SETTINGS, min(takes.values()) - 1) == ""
