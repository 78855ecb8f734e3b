"""Runs that torchrun starts: one process speaks, a lost one ends all, and what was saved goes on to the same bits."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.torch import load_file

WORDS = """
    base=none base.trained_length=32 base.steps=2 base.batch_tokens=128 context_length=64 device=cpu
    model.vocab_size=300 model.hidden_size=32 model.intermediate_size=48 model.num_hidden_layers=2
    model.num_attention_heads=2 model.num_key_value_heads=1 model.head_dim=16
    dataset=recall dataset.count=60 dataset.words=120 dataset.recall_share=0.25 dataset.near_duplicates=1
    trainer.steps=30 trainer.batch_tokens=256 trainer.warmup_steps=1 trainer.save_every=4
    evaluation.lengths=[64] evaluation.scored_tokens=8 evaluation.documents=4 evaluation.tasks=[]
    evaluation.subjects=[extended] export.format=[]
""".split()  # noqa: SIM905
SCORED = """
    device=cpu dataset=recall dataset.count=30 dataset.words=120 evaluation.tasks=[passkey] evaluation.samples=5
    evaluation.lengths=[16,32,64,192] evaluation.scored_tokens=8 evaluation.documents=7 evaluation.batch_tokens=200
""".split()  # noqa: SIM905
NUMBERS = ("by_length", "by_position", "tasks", "effective_length", "protocol")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--local-addr", "127.0.0.1"]
ROOT = Path(__file__).parents[2]
GRACE = 30.0
"""Seconds that torchrun leaves its processes."""


class Place:
    """A folder with a cache, in which programs are started."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def start(self, *words: str, before: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
        """Start Python with `words`, by what stands `before`."""
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
        environment |= {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen([*before, sys.executable, *words], cwd=self.root, env=environment, text=True, **pipe)

    def ended(self, *words: str) -> str:
        """Carry out Python with `words`, and return what it said."""
        process = self.start(*words)
        said, _ = process.communicate(timeout=200)
        assert process.returncode == 0, said
        return said

    def train(self, folder: str) -> tuple[str, ...]:
        """The words of a run of two processes in `folder`."""
        return (*TORCHRUN, "-m", "ctxext", "train", *WORDS, "parallel.data=2", f"hydra.run.dir={folder}", "cache=cache")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("torchrun"))


@pytest.fixture(scope="module")
def through(place: Place) -> str:
    """What a run in the folder `through` said that nothing interrupted."""
    return place.ended(*place.train("through"))


def steps(folder: Path) -> list[dict[str, Any]]:
    file = folder / "metrics.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def ranks(process: "subprocess.Popen[str]") -> Iterator[tuple[str, psutil.Process]]:
    """Each process that torchrun started, by its rank."""
    for child in psutil.Process(process.pid).children(recursive=True):
        if "RANK" in (told := child.environ()):
            yield told["RANK"], child


def test_one_process_speaks_and_writes(place, through):
    said, folder = through.splitlines(), place.root / "through"

    assert len([line for line in said if line.startswith("base: trained from scratch")]) == 1
    assert len([line for line in said if line.startswith("train  at 64 tokens")]) == 1
    assert [row["step"] for row in steps(folder)] == list(range(1, 31))
    assert len(list(folder.glob("events.out.*"))) == 1
    assert {path.name for path in place.root.iterdir()} <= {"through", "cache", "lost", "asked", "told", "one", "two"}
    results = json.loads((folder / "results.json").read_text())
    assert results["run"]["command"].startswith("torchrun --nproc-per-node 2 -m ctxext train ")


@pytest.mark.parametrize(
    ("folder", "number"),
    [("lost", signal.SIGKILL), pytest.param("asked", signal.SIGTERM, marks=pytest.mark.slow)],
)
def test_a_process_that_ends_ends_all_and_the_same_command_goes_on_to_the_same_bits(folder, number, place, through):
    process = place.start(*place.train(folder))
    while len(steps(place.root / folder)) < 9 and process.poll() is None:
        time.sleep(0.01)
    dict(ranks(process))["1"].send_signal(number)
    begun = time.monotonic()
    said, _ = process.communicate(timeout=100)

    assert process.returncode != 0
    assert time.monotonic() - begun < GRACE
    assert "what goes on from" in said
    assert (place.root / folder / "checkpoints" / "step-00000008").is_dir() or number != signal.SIGKILL
    assert "going on from step-000000" in place.ended(*place.train(folder))
    for name in ("model.safetensors", "optimizer.safetensors"):
        one, other = (place.root / run / "checkpoints" / "step-00000030" / name for run in (folder, "through"))
        ours, theirs = load_file(one), load_file(other)
        assert ours.keys() == theirs.keys()
        assert all(bool((ours[key] == theirs[key]).all()) for key in ours)
    assert [row["samples"] for row in steps(place.root / folder)] == [
        row["samples"] for row in steps(place.root / "through")
    ]


@pytest.mark.slow
def test_a_cluster_s_signal_is_heard_by_the_processes_where_torchrun_ignores_it_as_in_slurm_sh(place, through):
    ignoring = ("bash", "-c", 'trap "" USR1; exec "$@"', "torchrun")
    assert ignoring[2].replace('"$@"', 'torchrun "$@"') in (ROOT / "scripts" / "slurm.sh").read_text()
    process = place.start(*place.train("told"), before=ignoring)
    while len(steps(place.root / "told")) < 9 and process.poll() is None:
        time.sleep(0.01)
    for one in (psutil.Process(process.pid), *(child for _, child in ranks(process))):
        one.send_signal(signal.SIGUSR1)
    said, _ = process.communicate(timeout=100)

    assert process.returncode == 1
    assert "exitcode  : 75" in said
    assert "interrupted; what goes on from here: torchrun" in said
    assert list((place.root / "told" / "checkpoints").glob("step-*"))


@pytest.mark.slow
def test_two_processes_score_what_one_scores_to_the_bit(place, through):
    words = "-m", "ctxext", "eval", "run=through", *SCORED
    place.ended(*words, "hydra.run.dir=one", "cache=one/cache")
    place.ended(*TORCHRUN, *words, "parallel.data=2", "hydra.run.dir=two", "cache=two/cache")

    one, two = (json.loads((place.root / name / "results.json").read_text()) for name in ("one", "two"))
    assert one["by_length"]
    assert one["tasks"]
    assert {key: two[key] for key in NUMBERS} == {key: one[key] for key in NUMBERS}
    for name in ("samples.jsonl", "documents.jsonl"):
        assert (place.root / "two" / name).read_text() == (place.root / "one" / name).read_text()
