"""How a run that is asked to end does so."""

import signal
from pathlib import Path

import pytest

from ctxext.commands import interruption
from ctxext.commands.interruption import interruptible, leave_if_asked, typed
from ctxext.config.folders import including
from ctxext.reporting.journal import Journal
from ctxext.training.signals import Stop


def test_nothing_happens_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave_if_asked(Stop(), Journal(tmp_path, "a"))

    assert capsys.readouterr().out == ""


def test_the_program_ends_with_75_and_says_what_to_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stop = Stop()
    stop.asked = True
    with pytest.raises(SystemExit) as raised:
        leave_if_asked(stop, Journal(tmp_path / "a b", "a"), "search")

    assert raised.value.code == 75
    assert "ctxext search" in (said := capsys.readouterr().out)
    assert f"'hydra.run.dir={tmp_path / 'a b'}'" in said


def test_a_termination_is_an_interrupt_in_the_block_alone() -> None:
    found = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(signal.SIGTERM)

    assert signal.getsignal(signal.SIGTERM) is found


def test_a_command_line_is_quoted_for_a_shell() -> None:
    assert typed("eval", "name=a b").endswith("'name=a b'")


def test_a_command_line_keeps_the_folder_of_ones_own_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my options").mkdir()
    with including(Path("my options")):
        assert typed("train").endswith(" --config-dir 'my options'")


@pytest.mark.parametrize(
    ("world", "local", "start"),
    [
        (2, 2, "torchrun --nproc-per-node 2 -m ctxext eval"),
        (
            16,
            8,
            "torchrun --nnodes 2 --rdzv-backend c10d --rdzv-endpoint gpu7 --nproc-per-node 8 -m ctxext eval",
        ),
    ],
)
def test_a_command_line_starts_as_many_processes_on_as_many_machines(
    world: int, local: int, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"RANK": 0, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": local, "MASTER_ADDR": "gpu7", "MASTER_PORT": 29500}
    for name, value in told.items():
        monkeypatch.setenv(name, str(value))

    assert typed("eval") == start


@pytest.mark.parametrize("word", ["trainer.resume=never", "+trainer.resume=never", "++trainer.resume=never"])
def test_what_is_typed_to_go_on_does_not_begin_anew(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(interruption, "task", lambda: ["seed=1", word, "trainer.resume_allow=[seed]"])
    stop = Stop()
    stop.asked = True
    with pytest.raises(SystemExit):
        leave_if_asked(stop, Journal(tmp_path, "a"))

    said = capsys.readouterr().out
    assert "trainer.resume=" not in said
    assert "ctxext train seed=1 'trainer.resume_allow=[seed]' hydra.run.dir=" in said
    assert word in typed("train"), "the record of a run says what was typed"
