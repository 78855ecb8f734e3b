"""The loop: rows in, a trained model out, every step logged and the state saved.

Shapes: B rows, S tokens, W hidden size.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from ctxext.data.feed import Feed
from ctxext.data.rows import Batch, Rows
from ctxext.kernels.loss import fused_loss
from ctxext.parallel.collectives import sum_gradients
from ctxext.parallel.mesh import ALONE, Mesh
from ctxext.parallel.sharding import whole
from ctxext.refusal import require
from ctxext.training import checkpoint, drift
from ctxext.training.optimiser import RATIO, autocast, compute_dtype, make_optimiser
from ctxext.training.schedule import learning_rate
from ctxext.training.settings import Trainer
from ctxext.training.shares import owned
from ctxext.training.signals import Stop
from ctxext.training.soundness import check_skips, leave_out, unsound

STEPS = 1_000_003
"""More steps than a run has, so that no two draws of neighbouring seeds are alike."""
RANKS = 2**40
"""More than all of these, for the draws of other processes."""


@dataclass(frozen=True)
class Course:
    """What a stage of training is made of; a run that goes on must share its `identity` with the one that was saved.

    `left_out` holds what checkpoints say of the frozen weights that they leave out; nothing where they hold all.
    `mesh` are the processes that take each step together.
    """

    rows: Rows
    settings: Trainer
    checkpoints: Path
    identity: dict[str, Any]
    left_out: dict[str, str] = field(default_factory=dict)
    mesh: Mesh = ALONE

    @property
    def rows_a_step(self) -> int:
        """How many rows a step has: the whole ones that trainer.batch_tokens hold; refuses to have none."""
        batch, length = self.settings.batch_tokens, self.rows.length
        require(batch >= length, f"trainer.batch_tokens={batch} must hold a row of {length} tokens")
        self.mesh.settings.check_shares(batch // length, length, f"trainer.batch_tokens={batch}")
        return batch // length


@dataclass(frozen=True)
class Watcher:
    """Who is told: `log` gets a row each step, with what `probe` measures after it; `stop` asks for the end.

    `settle` is told before a save, since no row may be missing of the steps up to a checkpoint.
    """

    log: Callable[[dict[str, Any]], None]
    probe: Callable[[int], dict[str, float]]
    stop: Stop
    settle: Callable[[], None] = lambda: None


@dataclass
class Progress:
    """How far the training is: the last `step` that was taken, the `tokens` seen, and whether it was `interrupted`.

    `skips` counts the last steps in a row that changed nothing, since their loss or gradient was not finite.
    """

    step: int = 0
    tokens: int = 0
    interrupted: bool = False
    skips: int = 0


def fit(
    model: nn.Module, course: Course, watcher: Watcher, progress: Progress, optimiser: torch.optim.AdamW
) -> Progress:
    """Train `model` from `progress` on to the last step, or until the watcher's stop; return how far it came.

    Batches are made while the step before is taken; a row of the log says how many seconds it `waited` for its own.
    """
    settings, device = course.settings, next(model.parameters()).device
    steps = range(progress.step + 1, settings.steps + 1)
    model.train()
    with Feed(batches(course, device), steps) as feed:
        for step in steps:
            row = update(model, course, optimiser, step, feed)
            progress.step, progress.tokens = step, progress.tokens + row["tokens"]
            progress.skips = progress.skips + 1 if "skipped" in row else 0
            watcher.log({**row, **watcher.probe(step)})
            check_skips(progress.skips, step, settings)
            progress.interrupted = course.mesh.any(watcher.stop.asked) and step < settings.steps
            if step % settings.save_every == 0 or step == settings.steps or progress.interrupted:
                watcher.settle()
                counts = {"step": step, "tokens": progress.tokens, "skips": progress.skips}
                around = drift.surroundings(device, settings, course.mesh.settings)
                told = {"identity": course.identity, drift.KEY: around, **course.left_out}
                state = counts | told
                checkpoint.save(course.checkpoints, step, model, optimiser, state, settings.keep, course.mesh)
            if progress.interrupted:
                break
    return progress


def batches(course: Course, device: torch.device) -> Callable[[int], Batch]:
    """Return what makes the batch of a step of `course`, in the host's memory, pinned if `device` is a CUDA one.

    Pinned memory and copies that nothing waits for were not run: there was no such device.
    """
    count = course.rows_a_step

    def make(step: int) -> Batch:
        batch = course.rows.batch((step - 1) * count, count)
        return batch.pinned() if device.type == "cuda" else batch

    return make


def update(model: Any, course: Course, optimiser: torch.optim.AdamW, step: int, feed: Feed) -> dict[str, Any]:
    """Change the weights of `model` by the next batch of `feed`, that of `step`; return the row of the log.

    The host waits for the device once, for the loss and the norm.
    """
    started, settings = time.perf_counter(), course.settings
    rate = learning_rate(step, settings)
    for group in optimiser.param_groups:
        group["lr"] = rate * group[RATIO]
    draw = course.rows.seed * STEPS + step  # of what is dropped, also where a run goes on
    torch.manual_seed(draw + course.mesh.rank * RANKS)
    batch = feed.take()
    total = accumulate_gradients(model, batch, settings, course.mesh)
    norm = whole(clip_grad_norm_(model.parameters(), settings.max_grad_norm))
    loss, norm = torch.stack([total, norm]).tolist()
    reason = unsound(loss, norm)
    if reason:
        leave_out(batch, step, reason, settings, course.checkpoints.parent, is_kept=course.mesh.is_first)
    else:
        optimiser.step()
        model.settle()
    optimiser.zero_grad(set_to_none=True)
    skipped = {"skipped": reason} if reason else {}
    numbers = {"loss": loss, "learning_rate": rate, "grad_norm": norm, "tokens": batch.tokens.numel()}
    times = {"seconds": time.perf_counter() - started, "waited": feed.waited}
    return {"step": step, **numbers, **times, "samples": batch.samples, **skipped}


def accumulate_gradients(model: Any, batch: Batch, settings: Trainer, mesh: Mesh = ALONE) -> Tensor:
    """Add the gradient of the batch's mean loss to the parameters of `model`, a part at a time; return the loss.

    The loss, [] in float64 on the model's device, is in nats a target token; how the batch is cut into parts changes
    neither it nor the gradient. What a member adds to it as a penalty counts in the gradient alone. What is asked of
    the targets' weights is asked of `batch` where it lies: in the host's memory nothing waits for a device.
    Each process of `mesh` reads its own share of `batch`, and all come to the same loss and gradients.
    """
    counted, device = batch.weights.sum(), model.unembedding[0].device
    require(bool(counted > 0), "a whole batch holds no target token; trainer.batch_tokens must be larger")
    dtype = compute_dtype(settings.precision, device)
    total = torch.zeros((), dtype=torch.float64, device=device)
    for rows in owned(batch, mesh).parts(settings.accumulate):
        share = rows.weights.sum() / counted
        if share == 0 and mesh.size == 1:
            continue
        part = rows.to(device)
        with autocast(dtype, device):
            hidden = model.hidden(part.tokens, part.positions, part.documents).to(dtype)
        states, targets, weights = hidden.flatten(0, 1), part.targets.flatten(), part.weights.flatten()
        unembedding = model.unembedding
        loss = fused_loss(states, unembedding, targets, weights) * share if share else nothing(states, *unembedding[:2])
        torch.autograd.backward(loss)
        total += loss.detach()
    penalty = model.penalty()
    if penalty is not None:  # of weights, which every process has; parted ones are not summed again
        torch.autograd.backward(penalty / mesh.size if mesh.settings.shard == 1 else penalty)
    if mesh.settings.shard == 1:  # else they are summed as they come
        sum_gradients(model.parameters(), mesh)
    return mesh.total(total)


def nothing(*read: Tensor | None) -> Tensor:
    """Return 0, the loss of a share without targets, with the gradients that other processes wait for."""
    return torch.stack([tensor.sum() for tensor in read if tensor is not None]).sum() * 0


def resume(model: nn.Module, course: Course, say: Callable[[str], None]) -> tuple[Progress, torch.optim.AdamW]:
    """Return where `course` stands and its optimiser, from the newest good checkpoint unless it is to start anew."""
    optimiser = make_optimiser(model, course.settings)
    if course.settings.resume == "never" and course.mesh.is_first:
        checkpoint.clear(course.checkpoints)
    if course.mesh.is_first:
        checkpoint.sweep(course.checkpoints)
    found = course.mesh.told(lambda: str(checkpoint.newest(course.checkpoints, say) or ""))
    if not found:
        return Progress(), optimiser
    newest = Path(found)
    saved = checkpoint.read_state(newest)
    allowed = course.settings.resume_allow
    drift.check_identity(saved["identity"], course.identity, newest, allowed, say)  # first: loading changes the model
    state = checkpoint.load(newest, model, optimiser)
    around = drift.surroundings(next(model.parameters()).device, course.settings, course.mesh.settings)
    warning = drift.moved(state.get(drift.KEY, {}), around)
    for sentence in filter(None, (warning, f"going on from {newest.name}")):
        say(sentence)
    if course.mesh.is_first:  # who saved it may have died before deleting what is older
        checkpoint.prune(course.checkpoints, state["step"], course.settings.keep)
    return Progress(state["step"], state["tokens"], skips=state.get("skips", 0)), optimiser
