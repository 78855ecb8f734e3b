"""`ctxext train`: prepare data, get the base, measure it, train, measure again, export, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctxext.commands.conclusion import conclude
from ctxext.commands.extension import extend
from ctxext.commands.foundation import device_of, prepared, untouched
from ctxext.commands.measuring import measured, members
from ctxext.commands.saved_network import TOKENIZER
from ctxext.config.schema import Run
from ctxext.evaluation.language import drawn_end
from ctxext.evaluation.measure import common_ground
from ctxext.reporting.journal import Journal
from ctxext.training.lock import lock
from ctxext.training.signals import listening


def train(run: Run, folder: Path) -> None:
    """Carry `run` through its stages; everything it makes lies in `folder`."""
    device_of(run)
    with Journal(folder, run.name) as journal, lock(folder, journal.say), listening() as stop:
        data = prepared(run, journal)
        data.tokenizer.save(str(folder / TOKENIZER))
        base = untouched(run, data, journal, stop)
        ground = common_ground(run.evaluation, run.base.trained_length, data.test, data.tokenizer, drawn_end)
        method = base.reading(run.position, run.mask, run.attention)
        plan = Plan(base, method, is_changed=members(base) != members(method), is_trained=run.trainer.steps > 0)
        measurements = [
            measured(subject, network, ground, Path(run.cache), data.digest, journal)
            for subject, network in plan.before().items()
            if subject in run.evaluation.subjects
        ]
        if plan.is_trained:
            journal.say(
                f"train  at {run.context_length} tokens, {run.trainer.steps} steps of {run.trainer.batch_tokens} tokens"
            )
            extend(method, run, data, folder / "checkpoints", journal, stop)
            if "extended" in run.evaluation.subjects:
                measurements.append(measured("extended", method, ground, Path(run.cache), data.digest, journal))
        conclude(run, folder, data, ground, measurements, plan.absent(run.evaluation.subjects), method, journal)


@dataclass(frozen=True)
class Plan:
    """Which subjects there are: `base` and `method` share their weights; training changes those of both."""

    base: Any
    method: Any
    is_changed: bool
    is_trained: bool

    def before(self) -> dict[str, Any]:
        """Return the subjects that are measured before training, with the network that each reads through."""
        untrained = {"zero_shot": self.method} if self.is_changed else {}
        return {"base": self.base, "truncated": self.base, **untrained}

    def absent(self, subjects: list[str]) -> dict[str, str]:
        """Return for each of the contract's subjects that is not measured the reason."""
        reasons = {
            subject: "not among evaluation.subjects"
            for subject in ("base", "truncated", "zero_shot", "extended")
            if subject not in subjects
        }
        if not self.is_changed:
            reasons["zero_shot"] = "the method changes nothing before training, it is the base"
        if not self.is_trained:
            reasons["extended"] = "trainer.steps=0: nothing was trained"
        return reasons
