"""Whether another process is there."""

import os
import subprocess
import sys

from ctxext.processes import is_alive


def test_a_process_is_alive_until_it_has_ended() -> None:
    assert is_alive(os.getpid())
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not is_alive(ended.pid)


def test_an_id_that_no_system_has_is_left_alone() -> None:
    assert is_alive(2**80)
