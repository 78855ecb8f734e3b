"""What a plan predicts, against what torch counts in processes that train: bytes sent, operations, memory."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.model import cost
from ctxext.model.geometry import DecoderGeometry
from ctxext.parallel.settings import Parallel
from ctxext.planning.outline import Outline, Step, flops, outline
from ctxext.planning.residence import residence
from ctxext.planning.traffic import traffic
from ctxext.position.rope import Rope

HERE = Path(__file__).parent
GEOMETRY = DecoderGeometry(500, 64, 176, 4, 4, 2, 16, False, 1e-5)  # as in rank.py
ROWS, LENGTH = 2, 256
MESHES = {"alone": Parallel(), "data": Parallel(data=2), "shard": Parallel(shard=2), "context": Parallel(context=2)}


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function from the name of a mesh to what its first rank counted."""

    @cache
    def count(mesh: str) -> dict[str, Any]:
        folder, ranks = tmp_path_factory.mktemp(mesh), MESHES[mesh].size
        environment = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
        lines = [[sys.executable, HERE / "rank.py", str(rank), str(ranks), mesh, folder] for rank in range(ranks)]
        started = [subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True) for line in lines]
        errors = [process.communicate(timeout=300)[1] for process in started]
        assert [process.returncode for process in started] == [0] * ranks, errors
        found: dict[str, Any] = json.loads((folder / "0.json").read_text(encoding="utf-8"))
        return found

    return count


@pytest.fixture(scope="module")
def known() -> Outline:
    """Return the outline of the network that the processes train."""
    network = GEOMETRY.build(Rope(10000.0), IntraDocument(), Softmax())
    products = 4 * sum(layer.products for layer in cost.attention_in_layers(network, LENGTH))
    return outline(network, products, cost.matrix_weights(network))


def step(mesh: str) -> Step:
    return Step(ROWS, LENGTH, 1, False, 4, MESHES[mesh])


@pytest.mark.parametrize("mesh", MESHES)
def test_a_rank_sends_what_is_predicted(mesh: str, known: Outline, counted: Any) -> None:
    sent, told = counted(mesh)["sent"], traffic(known, step(mesh))
    assert told.weights + told.keys == pytest.approx(sent["_allgather_base_"], rel=0.05)
    assert told.gradients + told.key_gradients == pytest.approx(sent["_reduce_scatter_base_"], rel=0.05)
    assert told.copies == pytest.approx(sent["allreduce_"], rel=0.05)
    assert (told.total > 0) == (mesh != "alone")


@pytest.mark.parametrize("mesh", MESHES)
def test_a_rank_computes_what_is_predicted_but_for_the_pairs_that_no_one_needs(
    mesh: str, known: Outline, counted: Any
) -> None:
    # torch's counter takes every pair: two products forward and four backward, each of two operations.
    pairs = ROWS * LENGTH * (LENGTH - 1) / 2
    unneeded = 12 * 4 * 4 * 16 * pairs / MESHES[mesh].size
    assert flops(known, step(mesh)) + unneeded == pytest.approx(counted(mesh)["flops"], rel=0.05)


@pytest.mark.parametrize("mesh", MESHES)
def test_a_rank_holds_what_is_predicted(mesh: str, known: Outline, counted: Any) -> None:
    assert residence(known, step(mesh)).total == pytest.approx(counted(mesh)["peak"], rel=0.2)
