"""Processes as torchrun would start them: each trains every composition over every mesh of its world.

Called as `process.py FOLDER PORT PORT`, it is a world of one process, then forks worlds of 2 and of 4, which meet at
these ports: what is imported and warm need not be so again. What each finds is FOLDER/SIZE-RANK.json.
"""

import dataclasses
import json
import os
import shutil
import signal
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from ctxext.attention.softmax import Softmax
from ctxext.data.corpus import Corpus, write_corpus
from ctxext.data.documents import Document
from ctxext.data.rows import Batch, Rows
from ctxext.data.tokenizer import train_tokenizer
from ctxext.evaluation.ledger import Ledger, OutOfMemoryError
from ctxext.mask.adaptive_span import AdaptiveSpan
from ctxext.mask.causal import Causal
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import DecoderGeometry
from ctxext.parallel.mesh import ALONE, Mesh, sharing_rows
from ctxext.parallel.settings import Parallel
from ctxext.position.alibi import Alibi
from ctxext.position.dynamic import RopeDynamicNtk
from ctxext.position.rope import Rope, Yarn
from ctxext.position.t5_bias import T5Bias
from ctxext.training.loop import Course, Watcher, fit, resume
from ctxext.training.settings import Trainer
from ctxext.training.shares import spread
from ctxext.training.signals import Stop, listening

GEOMETRY = DecoderGeometry(300, 16, 24, 2, 2, 1, 8, True, 1e-5)
STEPS = 6
SETTINGS = Trainer(STEPS, 128, 2, 0.01, 0.1, 2, 0.1, 0.9, 0.95, 1.0, 3, 9, "auto", "fp32", False)
TEXTS = [f"Text {i} says: " + " ".join(f"{i}.{j}" for j in range(9 + 2 * i)) for i in range(7)]
ROPE = Rope(10000.0)
METHODS = {
    "dense": (ROPE, Causal(), Softmax()),
    "document": (ROPE, IntraDocument(), Softmax()),
    "window": (ROPE, SlidingWindow(5), Softmax()),
    "alibi": (Alibi(), IntraDocument(), Softmax()),
    "yarn": (Yarn(10000.0, 4.0, 8, 32.0, 1.0, 1.14), IntraDocument(), Softmax()),
    "dynamic": (RopeDynamicNtk(10000.0, 4.0, 8), IntraDocument(), Softmax()),
    "learned": (T5Bias(8, 16), IntraDocument(), Softmax()),
    "spans": (ROPE, AdaptiveSpan(12, 0, 4, 0.5), Softmax()),  # its penalty leads out of where spans may be
}
MESHES = {
    1: (Parallel(),),
    2: (Parallel(data=2), Parallel(context=2), Parallel(shard=2)),
    4: (Parallel(data=2, context=2), Parallel(shard=2, context=2), Parallel(data=2, shard=2)),
}


def rows(folder: Path, keeps_apart: bool) -> Rows:
    tokenizer = train_tokenizer(TEXTS, 300)
    corpus: Corpus = write_corpus(folder, [Document(str(i), text) for i, text in enumerate(TEXTS)], tokenizer)
    return Rows(corpus, tokenizer, 16, 0.3, 1, keeps_apart)


def trained(method: str, course: Course, stop: Stop | None = None, stop_at: int = 0) -> list[dict[str, Any]]:
    """The steps of a run of `method` on `course`, in which this process is asked to end at a step."""
    torch.manual_seed(0)
    network = GEOMETRY.build(*METHODS[method])
    found: list[dict[str, Any]] = []
    stop = stop or Stop()

    def log(row: dict[str, Any]) -> None:
        kept = {key: row[key] for key in ("step", "loss", "grad_norm", "tokens", "samples")}
        found.append(kept)
        if row["step"] == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    progress, optimiser = resume(network, course, lambda sentence: None)
    with spread(network, optimiser, course.settings, course.mesh) as (training, own):
        assert course.mesh.settings.shard == 1 or not any(part.numel() for part in network.parameters()), "held twice"
        fit(training, course, Watcher(log, lambda step: {}, stop), progress, own)
    return found


def scored(path: Path, mesh: Mesh) -> dict[str, Any]:
    """What comes of keys that processes score together, which of them this one scored, and where memory is short."""
    own: list[int] = []

    def score(run: range) -> list[float]:
        own.extend(run)
        return [number / 3 + 1e-17 * len(run) for number in run]

    def starved(run: range) -> list[float]:
        if 6 in run:
            raise MemoryError
        return score(run)

    keys = [str(number) for number in range(11)]
    values = Ledger(path, mesh=mesh).through(keys, score, 2)
    again, most = Ledger(path, mesh=mesh).through(keys, score, 2), len(own)
    try:
        Ledger(path, mesh=mesh).through([f"starved {key}" for key in keys], starved, 2)
    except OutOfMemoryError:
        return {"values": values, "again": again, "own": own[:most], "starved": True}
    return {}


def copied(run: Path, course: Course) -> None:
    """Let `course` go on from the third step of `run`."""
    step = "step-00000003"
    shutil.copytree(run / "checkpoints" / step, course.checkpoints / step)


class Poisoned(Rows):
    """Rows whose third step has a batch of which the last row, of the last process, has no finite loss."""

    def batch(self, first: int, count: int) -> Batch:
        batch = super().batch(first, count)
        if first == 2 * count:
            batch.weights[-1, -1] = float("inf")
        return batch


def failing(course: Course) -> str:
    """Where the run ends in this process at a batch whose last row has no finite loss."""
    poisoned = Poisoned(**{field.name: getattr(course.rows, field.name) for field in dataclasses.fields(Rows)})
    try:
        trained("document", dataclasses.replace(course, rows=poisoned))
    except FloatingPointError as error:
        return str(error).partition(":")[0]
    return "no end"


def world(folder: Path, rank: int, size: int) -> None:
    """Train what process `rank` of `size` trains."""
    torch.set_num_threads(1)
    if size > 1:
        dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    own, found = folder / f"own-{size}-{rank}", {}
    own.mkdir(parents=True)
    for settings in MESHES[size]:
        mesh = Mesh(settings, rank, sharing_rows(settings, rank)) if size > 1 else ALONE
        name = f"{settings.data}x{settings.shard}x{settings.context}"

        def course(kind: str, mesh: Mesh = mesh, name: str = name) -> Course:
            made = rows(own / "text", kind != "dense")
            return Course(made, SETTINGS, folder / name / kind / "checkpoints", {"seed": 1}, mesh=mesh)

        some = METHODS if settings.shard == 1 else ("document", "learned", "spans")
        found[name] = {method: trained(method, course(method)) for method in some}
        with listening() as stop:
            asked = trained("document", course("asked"), stop, stop_at=2 if rank == size - 1 else 0)
        found[name]["asked"] = [row["step"] for row in asked]
        found[name]["resumed"] = trained("document", course("asked"))
        found[name]["poisoned"] = failing(course("poisoned"))
        found[name]["scored"] = scored(folder / name / "scores.jsonl", mesh)
        if size > 1:  # a checkpoint of one process
            adopting = course("adopted")
            if rank == 0:
                copied(folder / "1x1x1" / "document", adopting)
            mesh.wait()
            found[name]["adopted"] = trained("document", adopting)
    (folder / f"{size}-{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    if size > 1:
        dist.destroy_process_group()


def forked(folder: Path, rank: int, size: int, port: str) -> int:
    """Start process `rank` of `size`, and return its id."""
    process = os.fork()
    if process:
        return process
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    try:
        world(folder, rank, size)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main(folder: Path, *ports: str) -> int:
    """Carry out all worlds, and return how many of their processes failed."""
    world(folder, 0, 1)
    started = [
        forked(folder, rank, size, port) for size, port in zip((2, 4), ports, strict=True) for rank in range(size)
    ]
    return sum(os.waitpid(process, 0)[1] != 0 for process in started)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
