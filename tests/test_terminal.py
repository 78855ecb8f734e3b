"""What is printed holds nothing that a terminal would obey, and a stdout that is shut is said."""

import subprocess
import sys
from pathlib import Path

import pytest

from ctxext.terminal import plain, remark, say


def test_what_a_terminal_would_obey_is_replaced_and_all_else_stays() -> None:
    assert plain("a\x1b[2Jb\u202ec\x07\x9b\ud800") == "a\ufffd[2Jb\ufffdc\ufffd\ufffd\ufffd"
    ordinary = "é 漢 🙂 ≥ ± \xa0\u202f\n\ta"
    assert plain(ordinary) == ordinary


def test_both_ways_to_print_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    assert say("a\x1bb") == 0
    remark("c\x1bd")
    assert capsys.readouterr() == ("a\ufffdb\n", "c\ufffdd\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    ("redirected", "reason"), [("> /dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
@pytest.mark.parametrize("words", ["ls position", "ls --json"])
def test_a_stdout_that_takes_nothing_is_said_in_a_sentence(words: str, redirected: str, reason: str) -> None:
    line = f"{sys.executable} -m ctxext {words} {redirected}"
    done = subprocess.run(line, shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"ctxext: stdout: can't be written ({reason})\n")
