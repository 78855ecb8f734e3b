"""Signals at any time: the state is saved, the status is 75, and the same command goes on as if nothing had been."""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
LASTING = ("trainer.steps=100000", "trainer.save_every=100")
GRACE = 10.0
AT_ONCE = 4.0


@pytest.fixture(scope="module")
def straight(program: Any) -> Path:
    assert program.run("straight", "trainer.steps=300", "trainer.save_every=100").status == 0
    found: Path = program.root / "straight"
    return found


def is_heard(process: "subprocess.Popen[str]") -> bool:
    """Whether the process has handlers for all of NUMBERS."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return all(caught >> (number - 1) & 1 for number in NUMBERS)


def wait_until(holds: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    while process.poll() is None and not holds():
        time.sleep(0.001)


def test_the_handlers_are_there_before_anything_slow_is_imported(program: Any, tell: Callable[[str], None]) -> None:
    begun = time.monotonic()
    with program.begin("early", *LASTING) as process:
        wait_until(lambda: is_heard(process), process)
        seconds = time.monotonic() - begun
        mapped = Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)

    assert "libtorch" not in mapped
    assert process.returncode == 75, said
    assert not (program.root / "early" / "checkpoints").exists()
    tell(f"signals: handlers after {seconds:.2f} s, before torch is there")


def test_a_run_that_a_signal_ends_at_a_random_time_goes_on_bit_for_bit(
    program: Any,
    straight: Path,
    left: Callable[[Path], Any],
    times: Callable[[int, int], int],
    tell: Callable[[str], None],
) -> None:
    draw, count, slowest, while_training = random.Random(5), times(4, 20), 0.0, 0
    words = ("trainer.steps=300", "trainer.save_every=100")
    for number in range(count):
        name = f"asked{number}"
        metrics = program.root / name / "metrics.jsonl"
        with program.begin(name, *words) as process:
            if number % 2:
                wait_until(metrics.exists, process)
                time.sleep(draw.uniform(0, 0.8))
            else:
                wait_until(lambda process=process: is_heard(process), process)  # type: ignore[misc]
                time.sleep(draw.uniform(0, 2))
            asked = time.monotonic()
            process.send_signal(NUMBERS[number % len(NUMBERS)])
            said, _ = process.communicate(timeout=60)
            slowest = max(slowest, time.monotonic() - asked)
        assert process.returncode == 75, said
        assert "Traceback" not in said
        if metrics.exists():
            last = left(metrics.parent).rows[-1]["step"]
            assert last in left(metrics.parent).saved, "saved at the step at which it was asked"
            while_training += last < 300
        assert program.run(name, *words).status == 0
        mine, theirs = left(metrics.parent), left(straight)
        assert (mine.rows, mine.scalars, mine.saved[300]) == (theirs.rows, theirs.scalars, theirs.saved[300])
    tell(f"signals: {count} of {count} ended with 75 and went on bit for bit, {while_training} while training")
    tell(f"signals: the slowest took {slowest:.1f} s from the signal to its end")
    assert slowest < GRACE
    assert while_training


def test_a_second_interrupt_ends_at_once_and_the_last_save_stays(
    program: Any, left: Callable[[Path], Any], tell: Callable[[str], None]
) -> None:
    folder = program.root / "twice"
    slow = ("trainer.batch_tokens=131072", "trainer.accumulate=16", "trainer.save_every=1")  # steps of seconds
    with program.begin("twice", "trainer.steps=100000", *slow) as process:
        wait_until((folder / "checkpoints" / "step-00000001").exists, process)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        said, _ = process.communicate(timeout=60)
        seconds = time.monotonic() - asked

    assert process.returncode == 1, said
    assert said.splitlines()[-1] == "ctxext: interrupted"
    assert "Traceback" not in said, said
    assert left(folder).saved.keys() == {1}
    assert seconds < AT_ONCE
    tell(f"signals: a second INT ends it after {seconds:.2f} s")
