"""The memory of training: the parts of the prediction against sums by hand, and the whole against a fresh process."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ctxext.attention.softmax import Softmax
from ctxext.data.rows import Batch
from ctxext.mask.document import IntraDocument
from ctxext.mask.layered import Layered
from ctxext.model import cost
from ctxext.model.geometry import DecoderGeometry, LstmGeometry
from ctxext.position.rope import Rope
from ctxext.training import memory
from ctxext.training.adapters import attach
from ctxext.training.settings import Trainer

GEOMETRY = DecoderGeometry(67, 24, 40, 3, 4, 2, 8, True, 1e-5)
SETTINGS = Trainer(6, 256, 1, 0.02, 1.0, 0, 0.0, 0.9, 0.95, 1.0, 3, 9, "auto", "fp32", False)


def batch(rows: int, length: int, vocabulary: int = 67) -> Batch:
    tokens = torch.arange(rows * (length + 1)).remainder(vocabulary).view(rows, length + 1)
    documents = (torch.arange(length) >= length // 2).long().expand(rows, -1)
    weights, positions = torch.ones(rows, length), torch.arange(length).expand(rows, -1)
    return Batch(tokens[:, :-1], tokens[:, 1:], weights, positions, documents, [str(row) for row in range(rows)])


def network(**settings: Any) -> Any:
    built = GEOMETRY.build(Rope(10000.0), IntraDocument(), Softmax())
    attach(built, dataclasses.replace(SETTINGS, **settings), seed=0)
    return built


def test_what_blocks_keep_adds_up_to_what_the_network_keeps() -> None:
    layered = GEOMETRY.build(Rope(10000.0), Layered("SSL", 8, 8, "constant"), Softmax()).train()
    given = batch(2, 32)
    for model, documents in ((network().train(), given.documents), (layered, None)):
        told = given.tokens, given.positions, documents
        kept, whole = cost.kept_by_block(model, *told), cost.kept_bytes(model, *told)
        # The keys' places are kept once by all blocks, and measured with each of them.
        assert whole <= kept.outside + sum(kept.blocks) <= 1.1 * whole
        assert len(kept.blocks) == 3


def test_moments_are_those_of_trained_weights_alone() -> None:
    plain, adapted = network(), network(adapter="lora", lora_trained=["norms"], lora_rank=2)
    pairs = sum(2 * (entering + leaving) for entering, leaving in ((24, 32), (24, 16), (24, 16), (32, 24)))
    trained = 3 * pairs + 7 * 24

    assert memory.forecast(plain, batch(2, 32), SETTINGS).adamw == 2 * 4 * cost.parameter_count(plain)
    assert memory.forecast(adapted, batch(2, 32), SETTINGS).adamw == 2 * 4 * trained
    assert trained < 0.2 * cost.parameter_count(plain)


def by_moment(rows: Batch, **settings: Any) -> dict[str, memory.Load]:
    """What each moment of a step on `rows` takes that may be its peak."""
    model, chosen = network(), dataclasses.replace(SETTINGS, **settings)
    part = next(rows.parts(chosen.accumulate))
    kept = memory.kept_of(model, part, torch.float32)
    found = memory.loads(model, part, kept, chosen, 4 * cost.parameter_count(model))
    return dict(zip(("loss", "last", "first"), found, strict=True))


def test_parts_divide_activations_and_checkpointing_leaves_the_inputs_and_a_block() -> None:
    rows, entering = batch(4, 64), 4 * 64 * 24 * 4
    kept = cost.kept_by_block(network().train(), rows.tokens, rows.positions, rows.documents)
    whole, parted, spared = (
        by_moment(rows, **settings) for settings in ({}, {"accumulate": 4}, {"gradient_checkpointing": True})
    )

    assert whole["loss"].activations == kept.outside + 3 * kept.blocks[0]
    assert parted["loss"].activations == pytest.approx(whole["loss"].activations / 4, rel=0.05)
    assert whole["last"].activations == kept.outside + 3 * kept.blocks[0] + kept.blocks[0] // 2
    assert spared["loss"].activations == kept.outside + 3 * entering
    assert spared["last"].activations == pytest.approx(kept.outside + 3 * entering + 1.5 * kept.blocks[0], abs=2)


def test_gradients_come_as_activations_go_and_stay_from_part_to_part() -> None:
    every = 4 * cost.parameter_count(network())
    whole, parted = by_moment(batch(4, 64)), by_moment(batch(4, 64), accumulate=2)

    assert [whole[moment].gradients for moment in ("loss", "last", "first")] == [0, 4 * 67 * 24, every]
    assert {load.gradients for load in parted.values()} == {every}
    assert whole["first"].activations < whole["last"].activations


def test_the_peak_is_the_moment_that_takes_most() -> None:
    found = memory.forecast(network(), batch(4, 64), SETTINGS)
    assert found.load == max(by_moment(batch(4, 64)).values(), key=lambda load: load.total)
    assert found.peak == found.held + found.adamw + found.load.total + found.slack == found.held + found.added


def test_of_a_long_text_a_part_is_read_and_the_rest_taken_to_keep_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = by_moment(batch(2, 512))["loss"].activations
    model, read = network(), []
    monkeypatch.setattr(memory, "MEASURED", 128)
    seen = cost.kept_by_block

    def watched(network: Any, tokens: torch.Tensor, *rest: Any) -> cost.Kept:
        read.append(tuple(tokens.shape))
        return seen(network, tokens, *rest)

    monkeypatch.setattr(cost, "kept_by_block", watched)
    kept = memory.kept_of(model, batch(2, 512), torch.float32)

    assert read == [(1, 128)]
    assert kept.outside + sum(kept.blocks) == pytest.approx(whole, rel=0.05)


def test_the_loss_takes_a_chunk_of_logits_and_a_frozen_unembedding_no_gradient() -> None:
    weight = torch.nn.Parameter(torch.zeros(500, 16))
    trained = memory.loss_bytes(weight, 3000, torch.float32)
    frozen = memory.loss_bytes(weight.requires_grad_(False), 3000, torch.float32)

    assert frozen == 256 * 500 * 4 + 2 * 3000 * 16 * 4
    assert trained - frozen == 2 * 500 * 16 * 4


def test_a_prediction_leaves_the_network_as_it_was() -> None:
    model = network().eval()
    model.gradient_checkpointing = True
    memory.forecast(model, batch(2, 32), SETTINGS)

    assert not model.training
    assert model.gradient_checkpointing
    assert all(part.grad is None for part in model.parameters())
    assert len(model.layers) == len(model.members) == 3


def test_a_recurrent_network_has_a_prediction_too() -> None:
    model = LstmGeometry(67, 8, 12, 1).build(Rope(10000.0), IntraDocument(), Softmax())
    found = memory.forecast(model, batch(2, 32), SETTINGS)
    assert found.load.activations > 2 * 32 * 12 * 4


PROCESS = """
import json, sys
import torch
from test_memory import SETTINGS, batch
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.model.resident import peak
from ctxext.position.rope import Rope
from ctxext.training import memory
from ctxext.training.adapters import attach
from ctxext.training.allocator import arranged
from ctxext.training.loop import accumulate_gradients
from ctxext.training.optimiser import make_optimiser
import dataclasses

torch.set_num_threads(1)
settings = dataclasses.replace(SETTINGS, **json.loads(sys.argv[1]))
model = DecoderGeometry(2000, 256, 704, 6, 4, 2, 64, True, 1e-5).build(Rope(10000.0), IntraDocument(), Softmax())
attach(model, settings, seed=0)
rows = batch(4, 512, 2000)
with arranged(settings, torch.device("cpu")):
    found = memory.forecast(model.train(), rows, settings)
    model.gradient_checkpointing = settings.gradient_checkpointing
    optimiser = make_optimiser(model, settings)
    for step in range(2):
        accumulate_gradients(model, rows, settings)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
print(json.dumps([found.held, found.peak, peak(torch.device("cpu"))]))
"""


@pytest.mark.parametrize("settings", [{}, {"accumulate": 2}, {"gradient_checkpointing": True}])
def test_a_fresh_process_takes_what_was_predicted_within_a_fifth(settings: dict[str, Any]) -> None:
    folders = os.pathsep.join(map(str, (Path(__file__).parents[2], Path(__file__).parent)))
    environment = os.environ | {"PYTHONPATH": folders, "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-c", PROCESS, json.dumps(settings)]
    said = subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stdout
    held, predicted, reached = json.loads(said.splitlines()[-1])

    assert predicted == pytest.approx(reached, rel=0.2)
    assert reached - held > 0.6 * (predicted - held), "a prediction far above tells nothing"
