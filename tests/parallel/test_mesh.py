"""Several processes over gloo: each mesh of 2 and of 4 takes the steps that one process takes."""

import json
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ctxext.parallel.mesh import ALONE, here, is_lost
from ctxext.parallel.settings import Parallel

PROCESS = Path(__file__).with_name("process.py")
METHODS = ("dense", "document", "window", "alibi", "yarn", "dynamic", "learned", "spans")
MESHES = ("2x1x1", "1x1x2", "1x2x1", "2x1x2", "1x2x2", "2x2x1")
"""data x shard x context."""
WHOLE = ("2x1x1", "1x1x2", "2x1x2")
NEAR = 1e-5
Found = dict[str, dict[str, Any]]


def free_ports(count: int) -> list[str]:
    """Ports of this machine that nobody listens at."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [str(one.getsockname()[1]) for one in sockets]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which worlds of 1, 2 and 4 processes have left what they found."""
    root = tmp_path_factory.mktemp("worlds")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    environment |= {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    line = [sys.executable, str(PROCESS), str(root), *free_ports(2)]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.fixture(scope="module")
def one(folder: Path) -> dict[str, Any]:
    """What one process found."""
    found: Found = json.loads((folder / "1-0.json").read_text())
    return found["1x1x1"]


@pytest.fixture(scope="module")
def by_rank(folder: Path) -> Callable[[str], list[dict[str, Any]]]:
    """A function from a mesh to what each of its processes found."""

    def found(mesh: str) -> list[dict[str, Any]]:
        size = 2 if mesh in MESHES[:3] else 4
        return [json.loads((folder / f"{size}-{rank}.json").read_text())[mesh] for rank in range(size)]

    return found


def assert_alike(steps: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [step["step"] for step in steps] == [step["step"] for step in expected]
    for step, same in zip(steps, expected, strict=True):
        assert step["loss"] == pytest.approx(same["loss"], abs=NEAR)
        assert step["grad_norm"] == pytest.approx(same["grad_norm"], abs=NEAR)
        assert step["tokens"] == same["tokens"]
        assert step["samples"] == same["samples"]


@pytest.mark.parametrize("mesh", WHOLE)
@pytest.mark.parametrize("method", METHODS)
def test_loss_norm_and_samples_of_six_steps_are_those_of_one_process(method, mesh, one, by_rank):
    assert len(one[method]) == 6
    for found in by_rank(mesh):
        assert_alike(found[method], one[method])


@pytest.mark.parametrize("mesh", ["1x2x1", "1x2x2", "2x2x1"])
@pytest.mark.parametrize("method", ["document", "learned", "spans"])
def test_they_are_where_the_weights_are_parted(method, mesh, one, by_rank):
    for found in by_rank(mesh):
        assert_alike(found[method], one[method])


@pytest.mark.parametrize("mesh", MESHES)
def test_all_processes_end_at_the_step_at_which_one_was_asked_to(mesh, by_rank):
    assert [found["asked"] for found in by_rank(mesh)] == [[1, 2]] * len(by_rank(mesh))


@pytest.mark.parametrize("mesh", MESHES)
def test_all_processes_end_at_the_step_at_which_one_has_no_finite_loss(mesh, by_rank, folder):
    assert {found["poisoned"] for found in by_rank(mesh)} == {"step 3"}
    assert len(list((folder / mesh / "poisoned").glob("nonfinite-*.safetensors"))) == 1


def tensors(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimizer.safetensors")


@pytest.mark.parametrize("mesh", MESHES)
def test_what_goes_on_after_a_stop_comes_to_the_same_bits(mesh, by_rank, folder):
    through, resumed = (folder / mesh / kind / "checkpoints" / "step-00000006" for kind in ("document", "asked"))

    assert by_rank(mesh)[0]["resumed"] == by_rank(mesh)[0]["document"][2:]
    for name, tensor in tensors(through).items():
        assert torch.equal(tensor, tensors(resumed)[name]), name


@pytest.mark.parametrize("mesh", MESHES)
def test_several_processes_go_on_from_what_one_has_saved(mesh, one, by_rank):
    for found in by_rank(mesh):
        assert_alike(found["adopted"], one["document"][3:])


@pytest.mark.parametrize("mesh", MESHES)
def test_one_process_goes_on_from_what_several_have_saved(mesh, one, folder, tmp_path):
    worker = runpy.run_path(str(PROCESS))
    rows = worker["rows"](tmp_path / "text", True)
    course = worker["Course"](rows, worker["SETTINGS"], tmp_path / "checkpoints", {"seed": 1})
    worker["copied"](folder / mesh / "document", course)

    assert_alike(worker["trained"]("document", course), one["document"][3:])


@pytest.mark.parametrize("mesh", MESHES)
def test_a_checkpoint_of_several_processes_holds_the_whole_tensors_of_one(mesh, folder):
    one, several = (tensors(folder / name / "learned" / "checkpoints" / "step-00000006") for name in ("1x1x1", mesh))

    assert one.keys() == several.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(several[name], tensor, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("mesh", MESHES)
def test_rows_to_be_scored_are_divided_and_their_scores_are_those_of_one_process(mesh, one, by_rank):
    every = [found["scored"] for found in by_rank(mesh)]

    assert all(found["values"] == found["again"] == one["scored"]["values"] for found in every)
    assert sorted(number for found in every for number in found["own"]) == list(range(11))
    assert max(len(found["own"]) for found in every) <= -(-11 // len(every)) + 2


@pytest.mark.parametrize("mesh", MESHES)
def test_all_processes_learn_that_memory_is_too_short_in_one(mesh, by_rank):
    assert all(found["scored"]["starved"] for found in by_rank(mesh))


def test_one_process_alone_is_the_identity():
    number = torch.tensor([2.0])

    assert here() is ALONE
    assert (ALONE.size, ALONE.is_first, ALONE.rows(6)) == (1, True, slice(0, 6))
    assert ALONE.total(number) is number
    assert [ALONE.any(False), ALONE.any(True)] == [False, True]
    assert ALONE.told(lambda: "ä") == "ä"


def test_each_replica_has_its_own_rows_and_those_that_share_them_the_same():
    ranks = [type(ALONE)(Parallel(data=2, shard=1, context=2), rank) for rank in range(4)]

    assert [mesh.rows(6) for mesh in ranks] == [slice(0, 3)] * 2 + [slice(3, 6)] * 2
    assert [mesh.part for mesh in ranks] == [0, 1, 0, 1]


def test_the_loss_of_a_process_is_told_from_other_errors():
    assert is_lost(RuntimeError("[pair.cc:553] Connection closed by peer [127.0.0.1]:23239"))
    assert not is_lost(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_lost(OSError("Broken pipe"))
