"""A crash at each call that changes the disk: what was saved before is there, or the new step is."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from ctxext.training import checkpoint


@pytest.fixture(scope="module")
def child() -> ModuleType:
    spec = importlib.util.spec_from_file_location("child", Path(__file__).with_name("child.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_after_a_crash_at_any_call_of_a_save_the_newest_whole_step_loads_and_the_save_can_be_made_again(
    tmp_path: Path, child: ModuleType, tell: Callable[[str], None]
) -> None:
    new, call, crashed = 0, 0, True
    while crashed:
        call += 1
        folder = tmp_path / f"crash{call}"
        for step in (1, 2):
            checkpoint.save(folder, step, *child.network(step), {"tokens": step}, keep=2)
        status = child.ended_in_fork(child.save_again, folder, call)
        crashed = status == child.CRASHED
        assert crashed or status == 0
        warned: list[str] = []
        checkpoint.sweep(folder)
        found = checkpoint.newest(folder, warned.append)
        assert found is not None
        assert not warned, "a crash leaves no broken step, only its remains"
        assert all(path.name.startswith("step-") for path in folder.iterdir())
        step = int(found.name[5:])
        assert step in (2, 3)
        new += step == 3
        same(found, child, step)
        same(checkpoint.save(folder, 3, *child.network(3), {"tokens": 3}, keep=2), child, 3)
        assert {2, 3} <= checkpoint.steps(folder).keys()
    tell(f"crash points: {call - 1} calls of a save, {call - 1} survived, the new step there after {new - 1} of them")
    assert call > 20


def same(path: Path, child: ModuleType, step: int) -> None:
    """Assert that `path` holds the network of `step`, with its optimiser."""
    model, optimiser = child.network(99)
    wanted, moments = child.network(step)
    assert checkpoint.load(path, model, optimiser)["tokens"] == step
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), wanted.parameters(), strict=True))
    states = [found.state_dict()["state"] for found in (optimiser, moments)]
    assert all(torch.equal(states[0][index][key], states[1][index][key]) for index in states[1] for key in states[1][0])


def test_after_a_crash_at_any_call_of_cutting_the_metrics_back_the_steps_that_count_are_there(
    tmp_path: Path, child: ModuleType, tell: Callable[[str], None]
) -> None:
    call, crashed = 0, True
    while crashed:
        call += 1
        folder = tmp_path / f"cut{call}"
        folder.mkdir()
        rows = [{"step": step, "loss": 1.0, "tokens": 4, "seconds": 1.0} for step in range(1, 7)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        status = child.ended_in_fork(child.forget, folder, call)
        crashed = status == child.CRASHED
        assert crashed or status == 0
        found = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert found in ([1, 2, 3], [1, 2, 3, 4, 5, 6])
    tell(f"crash points: {call - 1} calls of cutting the metrics back, {call - 1} survived")
    assert call > 2
