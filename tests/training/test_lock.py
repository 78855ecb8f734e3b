"""One run a folder."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from socket import gethostname

import pytest

from ctxext.refusal import Refusal
from ctxext.training.lock import lock, refuse_held, wait_for

HOLD_AND_DIE = """
import os, signal, sys
from pathlib import Path
from ctxext.training.lock import lock, refuse_held
with lock(Path(sys.argv[1]), print):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def silent(sentence: str) -> None:
    raise AssertionError(sentence)


def test_a_second_run_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    with lock(tmp_path, silent), pytest.raises(Refusal, match=f"process {os.getpid()} on"), lock(tmp_path, silent):
        pass


def test_a_folder_is_free_again_after_its_run(tmp_path: Path) -> None:
    for _ in range(2):
        with lock(tmp_path / "run", silent):
            pass


def test_the_lock_of_a_killed_run_is_taken_over_in_one_line(tmp_path: Path) -> None:
    process = subprocess.run([sys.executable, "-c", HOLD_AND_DIE, str(tmp_path)], timeout=30)
    assert process.returncode == -9
    said: list[str] = []

    with lock(tmp_path, said.append):
        pass

    assert len(said) == 1
    assert "which has ended" in said[0]
    assert "process " in said[0]


def test_a_refused_run_does_not_free_the_lock_of_the_first(tmp_path: Path) -> None:
    with lock(tmp_path, silent):
        for _ in range(2):
            with pytest.raises(Refusal), lock(tmp_path, silent):
                pass


def test_a_held_folder_can_be_asked_for_without_taking_it(tmp_path: Path) -> None:
    refuse_held(tmp_path / "nowhere")
    assert not list(tmp_path.iterdir()), "nothing is made"
    with lock(tmp_path, silent):
        for _ in range(2):
            with pytest.raises(Refusal, match=f"another run holds this folder, process {os.getpid()} on "):
                refuse_held(tmp_path)
    refuse_held(tmp_path)
    with lock(tmp_path, silent):
        pass


def test_a_folder_is_waited_for_until_its_holder_leaves_and_that_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    holder = ExitStack()
    holder.enter_context(lock(tmp_path, said.append))
    pauses = iter([lambda: None, lambda: None, holder.close])
    wait_for(tmp_path, said.append, lambda: next(pauses)())
    assert list(pauses) == []
    assert said == [f"waiting: {tmp_path}: another run holds this folder, process {os.getpid()} on {gethostname()}"]
    wait_for(tmp_path / "nobody", said.append, holder.close)
    assert len(said) == 1
