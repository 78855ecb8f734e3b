"""One run a folder."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from socket import gethostname

import pytest

from ctxext.refusal import Refusal
from ctxext.training.lock import lock, lock_in_turn, refuse_held, wait_for

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


def test_all_who_wait_for_a_folder_have_it_one_after_the_other(tmp_path: Path) -> None:
    inside, most, had = [], [], []

    def visit(number: int) -> None:
        with lock_in_turn(tmp_path / "base", lambda sentence: None, lambda: time.sleep(0.01)):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.3)  # longer than one who asks is patient
            had.append(inside.pop())

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(6)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert sorted(had) == [0, 1, 2, 3, 4, 5]
    assert max(most) == 1


def test_a_disk_that_locks_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / ".lock").touch()
    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(Refusal, match="this disk can't lock a file"):
        wait_for(tmp_path, silent, lambda: pytest.fail("it waits"))


def test_one_who_asks_keeps_no_run_out(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    with (tmp_path / ".lock").open("rb") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        refuse_held(tmp_path)  # two may ask at once
        threading.Timer(0.05, lambda: fcntl.flock(asking, fcntl.LOCK_UN)).start()
        begun = time.monotonic()
        with lock(tmp_path, silent):
            assert time.monotonic() - begun < 5


def test_a_dead_holder_is_not_named_while_the_next_has_not_written_yet(tmp_path: Path) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    (tmp_path / ".lock").write_text(f"process {gone.stdout.strip()} on {socket.gethostname()}")
    with (tmp_path / ".lock").open("rb") as taken:
        fcntl.flock(taken, fcntl.LOCK_EX)
        with pytest.raises(Refusal, match=r"another run holds this folder, just started$"):
            refuse_held(tmp_path)
        with pytest.raises(Refusal, match=r"another run holds this folder, just started$"), lock(tmp_path, silent):
            pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_a_disk_that_locks_nothing_is_said(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fail)
    said = rf"\.lock: this disk can't lock a file \({os.strerror(number)}\), and one"
    with pytest.raises(Refusal, match=said), lock(tmp_path, silent):
        pass


def test_a_folder_whose_lock_cannot_be_opened_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    (tmp_path / "folder" / ".lock").mkdir(parents=True)
    for folder in (tmp_path / "itself", tmp_path / "folder", tmp_path / ("long" * 99)):
        with pytest.raises(Refusal, match=r"^hydra.run.dir: no run can be kept in .*; write hydra.run.dir=FOLDER"):
            refuse_held(folder)


@pytest.mark.parametrize("holding", [lambda folder: lock(folder, silent), refuse_held], ids=["holding", "asking"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_a_stranger_put_in_a_lock_s_place_is_neither_waited_for_nor_emptied(kind, holding, tmp_path: Path) -> None:
    folder, precious = tmp_path / "run", tmp_path / "precious"
    folder.mkdir()
    precious.write_text("mine")
    put = {"link": lambda path: path.symlink_to(precious), "pipe": os.mkfifo}
    put[kind](folder / ".lock")
    with (
        pytest.raises(Refusal, match=r"no run can be kept in .*/\.lock: neither a link nor a pipe"),
        ExitStack() as stack,
    ):
        stack.enter_context(holding(folder))
    assert precious.read_text() == "mine"
