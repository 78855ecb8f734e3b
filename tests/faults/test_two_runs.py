"""One run, one folder."""

import socket
import time
from collections.abc import Callable
from typing import Any

LASTING = ("trainer.steps=100000", "trainer.save_every=100")
QUICK = 1.0
TRIES = 3


def test_a_second_run_is_refused_at_once_and_one_whose_holder_was_killed_goes_on(
    program: Any, tell: Callable[[str], None]
) -> None:
    folder = program.root / "held"
    with program.begin("held", *LASTING) as first:
        while not (folder / "checkpoints" / "step-00000100").exists():
            assert first.poll() is None
            time.sleep(0.01)
        config = (folder / "config.yaml").read_bytes()
        taken = []
        for _ in range(TRIES):
            begun = time.monotonic()
            with program.begin("held", *LASTING, "seed=1") as second:
                said, _ = second.communicate(timeout=60)
            taken.append(time.monotonic() - begun)
            assert second.returncode == 2, said
            assert said == (
                f"ctxext: {folder}: another run holds this folder, process {first.pid} on {socket.gethostname()}\n"
            )
        assert (folder / "config.yaml").read_bytes() == config
        assert first.poll() is None
        first.kill()
        first.communicate()
    tell(f"two runs: the second is refused after {min(taken):.2f} to {max(taken):.2f} s")
    assert min(taken) < QUICK, "the others may have waited for a busy processor"

    ended = program.run("held", *LASTING, faults={"terminate": 101})
    assert ended.status == 75
    assert f"taken over from process {first.pid} on {socket.gethostname()}, which has ended" in ended.said


def test_of_two_that_begin_at_once_one_goes_on(program: Any) -> None:
    program.run("first", "trainer.steps=1")  # the base is there then
    both = [program.start("race", "trainer.steps=200") for _ in range(2)]
    ended = [running.ended() for running in both]

    assert sorted(one.status for one in ended) == [0, 2], [one.said for one in ended]
    (refused,) = [one for one in ended if one.status == 2]
    assert "another run holds this folder" in refused.said
