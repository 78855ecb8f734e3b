"""Runs in processes of their own that are killed, cut short and starved; most begin as forks of one that imported all.

FAULTS=long has each fault repeated as often as `docs/reliability.md` says; without it a part of that runs.
"""

import fcntl
import hashlib
import json
import multiprocessing
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import scale
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

CHILD = Path(__file__).with_name("child.py")
PRELOADED = ["ctxext.commands.train", "ctxext.commands.jobs", "ctxext.commands.words", "matplotlib.pyplot"]
OVERRIDES = """
    base=none base.trained_length=32 base.steps=3 base.batch_tokens=128 context_length=64 device=cpu
    model.vocab_size=300 model.hidden_size=32 model.intermediate_size=48 model.num_hidden_layers=2
    model.num_attention_heads=2 model.num_key_value_heads=1 model.head_dim=16
    dataset=recall dataset.count=40 dataset.words=60 dataset.recall_share=0.25 dataset.near_duplicates=1
    trainer.steps=6 trainer.batch_tokens=256 trainer.warmup_steps=1 trainer.save_every=2
    evaluation.lengths=[64] evaluation.scored_tokens=8 evaluation.documents=4 evaluation.tasks=[]
    evaluation.subjects=[extended] export.format=[]
""".split()  # noqa: SIM905
CLOCK = {"seconds", "waited"}
TOLD: list[str] = []
LIMIT = scale.times(300, 1800)
"""Seconds that a test may take, most of which it waits for others."""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was counted."""
    for line in TOLD:
        terminalreporter.write_line(f"faults: {line}")


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """Let a test fail that waits without end."""

    def fail(*_: object) -> None:
        raise AssertionError(f"it still runs after {LIMIT} s")

    found = signal.signal(signal.SIGALRM, fail)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, found)


@pytest.fixture
def tell() -> Callable[[str], None]:
    """Return what takes a line for the end of the tests' report."""
    return TOLD.append


@pytest.fixture
def times() -> Callable[[int, int], int]:
    """Return a function from how often something is done in the short form and in the long one to how often now."""
    return scale.times


@dataclass
class Ended:
    """How a process ended: its exit status, what it said, and after how many seconds."""

    status: int | None
    said: str
    seconds: float

    @property
    def sentences(self) -> list[str]:
        """The lines that the program says as errors."""
        return [line for line in self.said.splitlines() if line.startswith("ctxext: ")]


@dataclass
class Running:
    """A process under way, and the pipe that it writes to."""

    process: ForkServerProcess
    pipe: int
    begun: float = field(default_factory=time.monotonic)

    def ended(self, timeout: float = 120) -> Ended:
        """Return how it ended, once it has."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            self.kill()
            raise AssertionError(f"it doesn't end within {timeout} s")
        seconds, said = time.monotonic() - self.begun, b""
        while block := os.read(self.pipe, 1 << 16):
            said += block
        os.close(self.pipe)
        return Ended(self.process.exitcode, said.decode(), seconds)

    def kill(self) -> None:
        """Kill it as SIGKILL does, and wait until it is gone."""
        self.process.kill()
        self.process.join()
        os.close(self.pipe)


class Program:
    """Starts the program on runs in `root`, which share a cache."""

    def __init__(self, root: Path) -> None:
        self.root, self.count = root, 0
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(PRELOADED)

    def words(self, folder: str, *further: str) -> list[str]:
        """Return what is typed for the run in `folder`."""
        return ["train", *OVERRIDES, f"cache={self.root / 'cache'}", f"hydra.run.dir={self.root / folder}", *further]

    def start(self, folder: str, *further: str, faults: Mapping[str, int] | None = None) -> Running:
        """Start the run in `folder` with `further` words and planted `faults`."""
        return self.order({"lines": [self.words(folder, *further)], "faults": dict(faults or {})})

    def run(self, folder: str, *further: str, faults: Mapping[str, int] | None = None) -> Ended:
        """Return how the run in `folder` ends."""
        return self.start(folder, *further, faults=faults).ended()

    def run_all(self, lines: Mapping[str, Sequence[str]]) -> dict[str, Ended]:
        """Return by folder how runs end that are typed with further words one after the other, in one process."""
        order = {"lines": [self.words(folder, *further) for folder, further in lines.items()], "faults": {}}
        ended = self.order(order).ended(600)
        *said, rest = re.split(r"^ended with (\d+)\n", ended.said, flags=re.MULTILINE)
        assert len(said) == 2 * len(lines), rest
        each = zip(said[::2], said[1::2], strict=True)
        return {name: Ended(int(status), text, 0.0) for name, (text, status) in zip(lines, each, strict=True)}

    def order(self, order: dict[str, Any]) -> Running:
        """Start a process with `order`."""
        self.count += 1
        path = self.root / f"pipe{self.count}"
        os.mkfifo(path)
        pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
        typed, sys.argv = sys.argv, ["child", json.dumps(order | {"output": str(path)})]
        try:
            process = self.context.Process(
                target=runpy.run_path, args=(str(CHILD),), kwargs={"run_name": "__main__"}, daemon=True
            )
            process.start()
        finally:
            sys.argv = typed
        return Running(process, pipe)

    def begin(self, folder: str, *further: str) -> "subprocess.Popen[str]":
        """Start the run in `folder` as a shell would."""
        line = [sys.executable, "-m", "ctxext", *self.words(folder, *further)]
        pipe = subprocess.PIPE
        return subprocess.Popen(line, cwd=self.root, text=True, stdout=pipe, stderr=subprocess.STDOUT)

    def copy(self, source: str, target: str, last: int) -> Path:
        """Copy the run in `source` as it was after step `last`, and return its folder."""
        folder = self.root / target
        shutil.copytree(self.root / source, folder)
        for path in (folder / "checkpoints").iterdir():
            if int(path.name[5:]) > last:
                shutil.rmtree(path)
        (folder / "results.json").unlink()
        return folder


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Return what starts the program; one thread each, since sums depend on how many there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        yield Program(tmp_path_factory.mktemp("faults"))


@dataclass(frozen=True)
class Left:
    """What a run left in its folder, read without the program: by step the hashes of what is saved, and its rows."""

    saved: dict[int, dict[str, str]]
    rows: list[dict[str, Any]]
    scalars: dict[str, list[tuple[int, float]]]


@pytest.fixture
def left() -> Callable[[Path], Left]:
    """Return a function that reads what a run left."""
    return left_in


def left_in(folder: Path) -> Left:
    """Return what the run in `folder` left."""
    saved = {
        int(path.name[5:]): {file.name: sha(file) for file in path.glob("*.safetensors")}
        for path in (folder / "checkpoints").glob("step-*")
        if is_whole(path)
    }
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [{key: value for key, value in json.loads(line).items() if key not in CLOCK} for line in lines]
    events = EventAccumulator(str(folder), {"scalars": 0}).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag in ("train/loss", "train/grad_norm", "train/learning_rate")]
    return Left(saved, rows, {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags})


def sha(path: Path) -> str:
    """Return the SHA-256 of the file at `path`."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_whole(path: Path) -> bool:
    """Return whether the checkpoint at `path` is what its manifest says."""
    named = json.loads((path / "MANIFEST.json").read_text(encoding="utf-8"))["files"]
    return {file.name: sha(file) for file in path.iterdir() if file.name != "MANIFEST.json"} == {
        name: entry["sha256"] for name, entry in named.items()
    }
