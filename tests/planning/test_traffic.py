"""What a plan predicts, against what torch counts in processes that train: bytes sent, operations, memory."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.model import cost
from ctxext.planning.outline import Outline, Step, flops, outline
from ctxext.planning.residence import residence
from ctxext.planning.traffic import traffic
from ctxext.position.rope import Rope

PROCESS = Path(__file__).with_name("rank.py")
RANK = runpy.run_path(str(PROCESS))
CASES, LENGTH, GEOMETRY = RANK["CASES"], RANK["LENGTH"], RANK["WIDE"]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """Return a function from the name of a case to what its first rank counted."""

    @cache
    def count(name: str) -> dict[str, Any]:
        folder, ranks = tmp_path_factory.mktemp(name), range(CASES[name].mesh.size)
        environment = os.environ | {"PYTHONPATH": str(PROCESS.parents[2]), "OMP_NUM_THREADS": "1"}
        lines = [[sys.executable, PROCESS, str(rank), name, folder] for rank in ranks]
        started = [subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True) for line in lines]
        errors = [process.communicate(timeout=300)[1] for process in started]
        assert [process.returncode for process in started] == [0 for _ in ranks], errors
        found: dict[str, Any] = json.loads((folder / "0.json").read_text(encoding="utf-8"))
        return found

    return count


@pytest.fixture(scope="module")
def known() -> Outline:
    """Return the outline of the network that the processes train."""
    network = GEOMETRY.build(Rope(10000.0), IntraDocument(), Softmax())
    products = 4 * sum(layer.products for layer in cost.attention_in_layers(network, LENGTH))
    return outline(network, products, cost.matrix_weights(network))


def step(name: str) -> Step:
    case = CASES[name]
    return Step(case.rows, LENGTH, case.parts, case.recomputes, 4, case.mesh)


@pytest.mark.parametrize("name", CASES)
def test_a_rank_sends_what_is_predicted(name: str, known: Outline, counted: Callable[[str], dict[str, Any]]) -> None:
    sent, told = counted(name)["sent"], traffic(known, step(name))
    assert told.weights == pytest.approx(sent["_allgather_base_"], rel=0.05)
    assert told.gradients == pytest.approx(sent["_reduce_scatter_base_"], rel=0.05)
    assert told.keys == pytest.approx(sent["allgather_"], rel=0.05)
    assert told.key_gradients == pytest.approx(sent["reduce_scatter_"], rel=0.05)
    assert told.copies == pytest.approx(sent["allreduce_"], rel=0.05, abs=8)  # and the loss, of 8 bytes
    assert (told.total > 0) == (name != "alone")


@pytest.mark.parametrize("name", CASES)
def test_a_rank_computes_what_is_predicted(name: str, known: Outline, counted: Callable[[str], dict[str, Any]]) -> None:
    case = CASES[name]
    # Of pairs torch counts all of a square: a whole row's, or those of the head's piece, a quarter of a row. It doesn't
    # those of the tail's, which a kernel of our own multiplies, nor a product that is written into a buffer: the
    # gradient of the unembedding.
    a_pair = 4 * 4 * 4 * 16 * (4 if case.recomputes else 3)
    rows = case.rows * case.mesh.context / case.mesh.size
    needed = rows * LENGTH * (LENGTH + 1) / 2 / case.mesh.context
    seen = rows * (LENGTH if case.mesh.context == 1 else LENGTH // 4) ** 2
    written = 2 * 500 * 64 * case.rows * LENGTH / case.mesh.size

    expected = flops(known, step(name)) + a_pair * (seen - needed) - written
    assert expected == pytest.approx(counted(name)["flops"], rel=0.01)


@pytest.mark.parametrize("name", CASES)
def test_a_rank_holds_what_is_predicted(name: str, known: Outline, counted: Callable[[str], dict[str, Any]]) -> None:
    assert residence(known, step(name)).total == pytest.approx(counted(name)["peak"], rel=0.2)
