"""What becomes of a step whose loss or gradient is no number: it never changes a weight, and its batch is kept."""

from __future__ import annotations

import math
from pathlib import Path

from safetensors.torch import save_file

from ctxext.data.rows import Batch
from ctxext.training.settings import SKIP, Trainer


class NonFiniteError(FloatingPointError):
    """A loss or a gradient that is no number: of several processes all come to it, at the same step."""


def unsound(loss: float, norm: float) -> str:
    """Return which of `loss` and gradient `norm` is not finite, and what it is instead, or nothing if both are."""
    named = {"loss": loss, "gradient norm": norm}
    return next((f"the {name} is {value}" for name, value in named.items() if not math.isfinite(value)), "")


def leave_out(batch: Batch, step: int, reason: str, settings: Trainer, folder: Path, *, is_kept: bool = True) -> None:
    """Keep the `batch` of `step`, which is not trained on for that `reason`, in `folder`, unless another process does.

    Raises NonFiniteError unless `settings` say that such batches are skipped.
    """
    kept = folder / f"nonfinite-{step:08d}.safetensors"
    if is_kept:
        keep(batch, step, reason, kept)
    if settings.nonfinite != SKIP:
        raise NonFiniteError(
            f"step {step}: {reason} on rows {', '.join(batch.samples)}; nothing was updated, and the batch is in "
            f"{kept}: a lower trainer.learning_rate or trainer.max_grad_norm may help, trainer.nonfinite=skip leaves "
            "such batches out"
        )


def check_skips(skips: int, step: int, settings: Trainer) -> None:
    """Raise NonFiniteError if no batch of the last `skips` up to `step` could be trained on, which are too many."""
    if skips >= settings.nonfinite_limit:
        raise NonFiniteError(
            f"step {step}: no update in {skips} steps in a row, trainer.nonfinite_limit={settings.nonfinite_limit}; "
            "the weights are those before them, a lower trainer.learning_rate or trainer.max_grad_norm may help"
        )


def keep(batch: Batch, step: int, reason: str, path: Path) -> None:
    """Write the tensors of the `batch` of `step`, its rows' names and the `reason` into the file `path`."""
    named = ("tokens", "targets", "weights", "positions", "documents")
    tensors = {name: tensor.contiguous() for name in named if (tensor := getattr(batch, name)) is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    words = {"step": str(step), "reason": reason, "samples": ", ".join(batch.samples)}
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, path, metadata=words)
