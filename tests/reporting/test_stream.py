"""A text on stdout by itself, and sentences on stderr."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctxext.reporting.stream import Aside, Stream


def test_a_text_comes_piece_by_piece_and_ends_its_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    stream = Stream()
    for piece in ("a", "", "é\n", "b"):
        stream.write(piece)
    stream.end()
    stream.end()
    assert capsys.readouterr().out == "aé\nb\n"


def test_nothing_written_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Stream().end()
    assert capsys.readouterr().out == ""


def test_what_a_terminal_cannot_show_is_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    Stream().write("aé")
    assert narrow.buffer.getvalue() == b"a?"  # type: ignore[attr-defined]


def test_an_aside_speaks_beside_stdout(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    Aside(tmp_path, "x").say("so")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "so\n")


def test_a_reader_that_goes_away_ends_the_stream_without_a_trace() -> None:
    script = "from ctxext.reporting.stream import Stream\ns = Stream()\nwhile s.is_open:\n    s.write('a' * 99)\n"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, **pipe) as process:  # type: ignore[call-overload]
        process.stdout.read(5)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
