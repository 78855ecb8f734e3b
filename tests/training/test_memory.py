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
    assert len(set(kept.blocks)) == 2


def test_gradients_and_moments_are_those_of_trained_weights_alone() -> None:
    plain, adapted = network(), network(adapter="lora", lora_trained=["norms"], lora_rank=2)
    pairs = sum(2 * (entering + leaving) for entering, leaving in ((24, 32), (24, 16), (24, 16), (32, 24)))
    trained = 3 * pairs + 7 * 24

    assert memory.forecast(plain, batch(2, 32), SETTINGS).optimiser == 3 * 4 * cost.parameter_count(plain)
    found = memory.forecast(adapted, batch(2, 32), SETTINGS).optimiser
    assert found == 3 * 4 * trained
    assert trained < 0.2 * cost.parameter_count(plain)


def test_parts_divide_activations_and_checkpointing_leaves_the_inputs_and_a_block() -> None:
    whole, parted, spared = (
        memory.forecast(network(), batch(4, 64), dataclasses.replace(SETTINGS, **settings)).activations
        for settings in ({}, {"accumulate": 4}, {"gradient_checkpointing": True})
    )
    kept = cost.kept_by_block(network().train(), batch(4, 64).tokens, batch(4, 64).positions, batch(4, 64).documents)

    assert parted == pytest.approx(whole / 4, rel=0.05)
    assert whole == pytest.approx(kept.outside + 4 * kept.blocks[0], rel=1e-3)
    assert spared == pytest.approx(kept.outside + 3 * (4 * 64 * 24 * 4) + 2 * kept.blocks[0], rel=1e-3)


def test_the_loss_takes_a_chunk_of_logits_and_a_frozen_unembedding_no_gradient() -> None:
    weight = torch.nn.Parameter(torch.zeros(500, 16))
    trained = memory.loss_bytes(weight, 3000, torch.float32)
    frozen = memory.loss_bytes(weight.requires_grad_(False), 3000, torch.float32)

    assert frozen == 1024 * 500 * 4 + 2 * 3000 * 16 * 4
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
    assert found.activations > 2 * 32 * 12 * 4
    assert found.peak == sum(vars(found).values())


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


@pytest.mark.parametrize("settings", [{"accumulate": 2}, {"gradient_checkpointing": True}])
def test_a_fresh_process_stays_within_the_prediction_and_not_far_below(settings: dict[str, Any]) -> None:
    folders = os.pathsep.join(map(str, (Path(__file__).parents[2], Path(__file__).parent)))
    environment = os.environ | {"PYTHONPATH": folders, "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-c", PROCESS, json.dumps(settings)]
    said = subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stdout
    held, predicted, reached = json.loads(said.splitlines()[-1])

    assert reached <= 1.1 * predicted, "pages of the system may add a little"
    assert reached - held > 0.6 * (predicted - held), "a prediction far above tells nothing"
