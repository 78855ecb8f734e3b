"""The time of a step is foretold from a short text, and grows with what longer rows need."""

import dataclasses
import time

import pytest
import torch

from ctxext.attention.softmax import Softmax
from ctxext.data.rows import Batch
from ctxext.mask.document import IntraDocument
from ctxext.model.cost import flops_per_token
from ctxext.model.geometry import DecoderGeometry, LstmGeometry
from ctxext.position.rope import Rope
from ctxext.training import pace
from ctxext.training.loop import accumulate_gradients
from ctxext.training.pace import step_seconds
from ctxext.training.settings import Trainer

SETTINGS = Trainer(6, 256, 1, 0.02, 1.0, 0, 0.0, 0.9, 0.95, 1.0, 3, 9, "auto", "fp32", False)
MEMBERS = Rope(10000.0), IntraDocument(), Softmax()


def rows(count: int, length: int) -> Batch:
    tokens, positions = torch.zeros(count, length, dtype=torch.int64), torch.arange(length).expand(count, length)
    return Batch(tokens, tokens, torch.ones(count, length), positions, None, [str(row) for row in range(count)])


def test_a_step_takes_the_passes_of_its_tokens_each_as_long_as_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    network, read = DecoderGeometry(67, 24, 40, 2, 4, 2, 8, True, 1e-5).build(*MEMBERS).train(), []

    def watched(network: object, some: Batch, settings: Trainer) -> float:
        read.append(tuple(some.tokens.shape))
        return (9.0, 0.5)[len(read) - 1]  # the first time is slower, and doesn't count

    monkeypatch.setattr(pace, "read", watched)
    found = step_seconds(network, rows(3, 4096), SETTINGS)
    longer = flops_per_token(network, 4096) / flops_per_token(network, 2048)

    assert read == [(1, 2048), (1, 2048)]
    assert found == pytest.approx(3 * 0.5 * 6 * longer)
    assert longer > 1.2
    assert network.training
    read.clear()
    recomputing = dataclasses.replace(SETTINGS, gradient_checkpointing=True)
    assert step_seconds(network, rows(3, 4096), recomputing) == pytest.approx(found * 4 / 3)


def test_a_real_step_takes_about_as_long() -> None:
    network, batch = DecoderGeometry(2048, 192, 448, 4, 3, 3, 64, True, 1e-5).build(*MEMBERS), rows(4, 256)
    accumulate_gradients(network, batch, SETTINGS)
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        accumulate_gradients(network, batch, SETTINGS)
        taken.append(time.perf_counter() - started)
    assert min(taken) / 4 < step_seconds(network, batch, SETTINGS) < 4 * max(taken)


def test_a_recurrent_network_has_a_pace_too() -> None:
    assert step_seconds(LstmGeometry(67, 8, 12, 1).build(*MEMBERS), rows(2, 32), SETTINGS) > 0
