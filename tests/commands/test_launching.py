"""What torchrun may be given, and where the processes write that another speaks for."""

import re
import signal
from pathlib import Path

import pytest

from ctxext import cli
from ctxext.commands.launching import check_together, muted, own_place
from ctxext.refusal import Refusal


@pytest.fixture
def process(monkeypatch):
    """Return a function that lets this be a process of two that torchrun started, which is deaf to TERM at its end."""
    heard = signal.getsignal(signal.SIGTERM)

    def become(rank: int) -> None:
        told = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
        for name, value in told.items():
            monkeypatch.setenv(name, value)

    yield become
    signal.signal(signal.SIGTERM, heard)


@pytest.mark.parametrize("command", ["check", "generate", "export", "prepare", "search"])
def test_a_command_that_processes_can_not_share_is_refused(command, process):
    check_together(command, [])
    process(0)

    with pytest.raises(Refusal, match=rf"torchrun started 2 processes, .* {command} can't; start it without torchrun"):
        check_together(command, [])


@pytest.mark.parametrize("flag", ["-m", "--multirun"])
def test_a_sweep_is_refused(flag, process):
    process(0)
    check_together("train", ["seed=1"])

    with pytest.raises(Refusal, match="a sweep can't"):
        check_together("train", ["seed=1,2", flag])


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("prepare", "parallel.data=2"),
        ("generate", "++parallel.shard=4"),
        ("train", "hardware=h100"),
        ("eval", "hardware.node=8"),
    ],
)
def test_words_that_do_nothing_in_a_command_are_refused(command, word):
    with pytest.raises(Refusal, match=rf"{re.escape(word)} does nothing in {command}"):
        check_together(command, ["seed=1", word])


def test_check_plans_for_any_mesh_and_machine():
    check_together("check", ["hardware=h100", "parallel.data=2", "hardware.node=4"])
    check_together("train", ["parallel.data=2"])


def test_a_follower_has_a_folder_of_its_own_that_vanishes(process):
    with own_place(["hydra.run.dir=a"]) as words:
        assert words == ["hydra.run.dir=a"]
    process(1)

    with own_place(["hydra.run.dir=a"]) as words:
        folder = Path(words[-1].removeprefix("hydra.run.dir="))
        assert words[:-1] == ["hydra.run.dir=a"]
        assert folder.is_dir()
    assert not folder.exists()


@pytest.mark.parametrize(("rank", "lines"), [(0, 1), (1, 0)])
def test_one_process_says_what_is_refused_and_all_end_with_2(rank, lines, process, monkeypatch, capfd):
    process(rank)
    monkeypatch.setattr("sys.argv", ["ctxext", "train", "parallel.data=4"])

    assert cli.main() == 2
    said = capfd.readouterr().err.splitlines()
    assert len([line for line in said if "make 4 processes, got 2" in line]) == lines == len(said)


def test_a_follower_prints_nothing(process, capfd):
    with muted():
        print("of the first")
    process(1)
    with muted():
        print("of another")

    assert capfd.readouterr().out == "of the first\n"
