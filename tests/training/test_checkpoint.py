"""Saving, checking and loading of a run's state, with faults planted."""

import os
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from ctxext.refusal import Refusal
from ctxext.training import checkpoint, manifest


def trained(seed: int = 0, updates: int = 3) -> tuple[nn.Module, torch.optim.AdamW]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(updates):
        update(model, optimizer)
    return model, optimizer


def update(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.arange(8.0).view(2, 4)).square().sum().backward()
    optimizer.step()


def save(folder: Path, step: int, keep: int = 2, **state: Any) -> Path:
    return checkpoint.save(folder, step, *trained(updates=step), state, keep)


def no_warning(sentence: str) -> None:
    raise AssertionError(sentence)


def test_training_goes_on_bit_for_bit_from_a_loaded_checkpoint(tmp_path: Path) -> None:
    model, optimizer = trained()
    path = checkpoint.save(tmp_path, 3, model, optimizer, {"tokens": 12}, keep=2)
    other, fresh = trained(seed=1, updates=1)

    state = checkpoint.load(path, other, fresh)
    update(model, optimizer)
    update(other, fresh)

    assert state == {"tokens": 12, "step": 3}
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_files_are_those_of_the_contract_and_no_pickle(tmp_path: Path) -> None:
    path = save(tmp_path, 120)

    assert path.name == "step-00000120"
    names = {"model.safetensors", "optimizer.safetensors", "state.json", "MANIFEST.json"}
    assert {file.name for file in path.iterdir()} == names
    with safe_open(path / "optimizer.safetensors", framework="pt") as file:
        assert {"0.weight/exp_avg", "0.weight/exp_avg_sq", "0.weight/step"} <= set(file.keys())


def test_files_reach_the_disk_before_the_manifest_and_the_manifest_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def logged_fsync(descriptor: int) -> None:
        calls.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def logged_rename(source: Path, target: Path) -> None:
        calls.append(f"rename {target.name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "rename", logged_rename)
    save(tmp_path / "checkpoints", 3)

    files = ["model.safetensors", "optimizer.safetensors", "state.json", "MANIFEST.json"]
    assert calls.pop(0) == tmp_path.name, "the folder of checkpoints is new in it"
    assert calls == [*files, f".tmp-00000003-{os.getpid()}", "rename step-00000003", "checkpoints"]


def test_each_flipped_bit_is_found_and_its_file_named(tmp_path: Path) -> None:
    save(tmp_path, 1)
    path = save(tmp_path, 2)
    draw = random.Random(0)
    for file in sorted(path.iterdir()):
        content = file.read_bytes()
        for _ in range(20):
            place, bit = draw.randrange(len(content)), draw.randrange(8)
            file.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
            warnings: list[str] = []

            found = checkpoint.newest(tmp_path, warnings.append)

            assert found == tmp_path / "step-00000001"
            assert len(warnings) == 1
            assert str(path) in warnings[0]
            assert file.name in warnings[0] or file.name == "MANIFEST.json"
        file.write_bytes(content)
    assert checkpoint.newest(tmp_path, no_warning) == path


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "MANIFEST.json"])
@pytest.mark.parametrize("share", [None, 0.0, 0.3, 0.99])
def test_a_missing_or_truncated_file_is_found(tmp_path: Path, name: str, share: float | None) -> None:
    save(tmp_path, 1)
    file = save(tmp_path, 2) / name
    content = file.read_bytes()
    file.unlink()
    if share is not None:
        file.write_bytes(content[: int(share * len(content))])
    warnings: list[str] = []

    assert checkpoint.newest(tmp_path, warnings.append) == tmp_path / "step-00000001"
    assert name in warnings[0]


def test_a_manifest_may_not_name_files_elsewhere_nor_links(tmp_path: Path) -> None:
    path = save(tmp_path, 1)
    (path / "state.json").rename(tmp_path / "state.json")
    (path / "state.json").symlink_to(tmp_path / "state.json")
    assert "state.json: missing, or not a plain file" in manifest.fault(path)

    (path / "MANIFEST.json").write_text('{"format": 1, "files": {"../state.json": {}, "state.json": {}}}')
    assert "MANIFEST.json: must name model.safetensors, optimizer.safetensors, state.json, got" in manifest.fault(path)

    (path / "MANIFEST.json").rename(tmp_path / "MANIFEST.json")
    (path / "MANIFEST.json").symlink_to(tmp_path / "MANIFEST.json")
    assert "MANIFEST.json: no manifest can be read, it is a link" in manifest.fault(path)
    (tmp_path / "step-00000007").symlink_to(path)
    assert "step-00000007: must be a folder, not a link" in manifest.fault(tmp_path / "step-00000007")


@pytest.mark.parametrize("name", ["MANIFEST.json", "state.json", "model.safetensors"])
def test_a_pipe_in_place_of_a_file_is_found_and_never_waited_for(tmp_path: Path, name: str) -> None:
    file = save(tmp_path, 1) / name
    file.unlink()
    os.mkfifo(file)

    assert str(file) in manifest.fault(file.parent)


@pytest.mark.parametrize(
    "content", [b" " * (1 << 24) + b"{}", b"[" * 100_000, b'{"format": 1, "format": 1}', b"\xff", b"[]"]
)
def test_a_manifest_that_a_stranger_made_is_bounded(tmp_path: Path, content: bytes) -> None:
    file = save(tmp_path, 1) / "MANIFEST.json"
    file.write_bytes(content)

    assert f"{file}: no manifest can be read" in manifest.fault(file.parent)


def test_all_sizes_are_compared_before_anything_is_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, 1)
    (path / "state.json").write_text("{}")
    monkeypatch.setattr(manifest, "digest", pytest.fail)

    assert "state.json: has 2 bytes, not those of the manifest" in manifest.fault(path)


def test_a_step_that_vanishes_while_it_is_looked_at_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, digest = save(tmp_path, 1), save(tmp_path, 2), manifest.digest

    def vanishing(path: Path) -> str:
        if path.parent == second and second.exists():
            shutil.rmtree(second)
        return digest(path)

    monkeypatch.setattr(manifest, "digest", vanishing)
    said: list[str] = []
    assert checkpoint.newest(tmp_path, said.append) == first
    assert f"{second / 'model.safetensors'}: can't be read (No such file or directory)" in said[0]


def test_a_state_is_read_as_a_stranger_s(tmp_path: Path) -> None:
    path = save(tmp_path, 1)
    (path / "state.json").write_text('{"step": 1, "step": 2}')
    with pytest.raises(Refusal, match=r"state\.json: step occurs twice"):
        checkpoint.read_state(path)


def test_a_manifest_that_lists_too_few_files_is_no_checkpoint(tmp_path: Path) -> None:
    path = save(tmp_path, 1)
    (path / "MANIFEST.json").write_text('{"format": 1, "files": {}}')

    with pytest.raises(Refusal, match=r"model\.safetensors"):
        checkpoint.load(path, *trained())


def test_nothing_to_resume_is_no_error(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "checkpoints", no_warning) is None


def test_the_newest_are_kept_and_the_step_just_saved_always_is(tmp_path: Path) -> None:
    for step in range(1, 5):
        save(tmp_path, step, keep=2)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-00000003", "step-00000004"]

    (tmp_path / "step-00000004" / "state.json").write_text("")
    shutil.copytree(tmp_path / "step-00000004", tmp_path / "step-00000009")
    path = save(tmp_path, 5, keep=1)

    assert checkpoint.newest(tmp_path, [].append) == path


def test_a_verified_step_is_not_saved_twice_and_a_broken_one_is_replaced(tmp_path: Path) -> None:
    path = save(tmp_path, 3, note="first")
    save(tmp_path, 3, note="second")
    assert checkpoint.load(path, *trained())["note"] == "first"

    (path / "state.json").write_text("{}")
    save(tmp_path, 3, note="second")
    assert checkpoint.load(path, *trained())["note"] == "second"


def test_a_tensor_that_is_not_finite_is_never_saved(tmp_path: Path) -> None:
    model, optimizer = trained()
    with torch.no_grad():
        next(model.parameters())[1, 2] = float("nan")

    with pytest.raises(FloatingPointError, match=r"0\.weight"):
        checkpoint.save(tmp_path / "checkpoints", 3, model, optimizer, {}, keep=2)
    assert not (tmp_path / "checkpoints").exists()


def test_a_state_that_is_not_json_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        save(tmp_path, 3, loss=float("nan"))
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=100))

    with pytest.raises(OSError, match=r"step-00000003: not saved, \d+ bytes needed and 100 free"):
        save(tmp_path, 3)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("limit", [0, 40, 400, 700])
def test_a_disk_that_fills_up_leaves_the_step_before_and_no_temporary(tmp_path: Path, limit: int) -> None:
    good = save(tmp_path, 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    model, optimizer = trained()
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OSError, match=r"step-00000003: not saved, \d+ bytes needed and \d+ free"):
            checkpoint.save(tmp_path, 3, model, optimizer, {}, keep=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert list(tmp_path.iterdir()) == [good]
    assert checkpoint.newest(tmp_path, no_warning) == good


@pytest.mark.parametrize("call", range(1, 10))
def test_a_crash_at_any_call_leaves_a_step_that_loads(
    tmp_path: Path, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1, keep=1)
    count = 0

    def crashing(function: Any) -> Any:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count >= call:
                raise SystemExit
            return function(*arguments, **named)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", crashing(shutil.rmtree))
        patch.setattr(os, "fsync", crashing(os.fsync))
        patch.setattr(os, "rename", crashing(os.rename))
        with pytest.raises(SystemExit):
            save(tmp_path, 2, keep=1)

    checkpoint.sweep(tmp_path)
    found = checkpoint.newest(tmp_path, no_warning)
    assert found is not None
    checkpoint.load(found, *trained())
    assert all(path.name.startswith("step-") for path in tmp_path.iterdir())


def test_what_dead_processes_left_is_removed_and_what_live_ones_write_is_not(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    for name in (f".tmp-00000001-{dead.stdout.strip()}", f".trash-00000002-{dead.stdout.strip()}", ".tmp-00000003-1"):
        (tmp_path / name).mkdir()

    assert checkpoint.newest(tmp_path, no_warning) is None
    assert len(list(tmp_path.iterdir())) == 3, "to read a run deletes nothing"
    checkpoint.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".tmp-00000003-1"]


def test_weights_of_another_model_are_refused_in_one_sentence(tmp_path: Path) -> None:
    path = save(tmp_path, 3)

    with pytest.raises(Refusal, match=r"0\.weight has the shape \[3, 4\], not \[3, 5\]"):
        checkpoint.load(path, nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 2)), None)
    with pytest.raises(Refusal, match=r"1\.bias is in no part of the model"):
        checkpoint.load(path, nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2, bias=False)), None)
    with pytest.raises(Refusal, match=r"2\.bias is missing"):
        checkpoint.load(path, nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(2, 2)), None)


def test_a_run_that_starts_anew_can_clear_what_another_left(tmp_path: Path) -> None:
    save(tmp_path, 500)
    checkpoint.clear(tmp_path)
    assert not list(tmp_path.iterdir())
