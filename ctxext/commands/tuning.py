"""What tuning makes least: validation text's loss at the target length; the test part is never looked at for it."""

from __future__ import annotations

from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from ctxext.config.schema import Run
from ctxext.data.prepare import Prepared
from ctxext.data.tokenizer import byte_lengths
from ctxext.evaluation.objective import Objective
from ctxext.evaluation.text.language import choose_windows, drawn_end
from ctxext.reporting.journal import Journal


def is_tuned() -> bool:
    """Return whether this job is one of a sweeper that asks for what it returned."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return False
    return not str(HydraConfig.get().sweeper._target_).endswith("BasicSweeper")


def tuned(run: Run, data: Prepared, network: Any, journal: Journal) -> float | None:
    """Return the mean nll of validation text under `network`, as `run` has trained it, or None where nobody asks.

    As many documents and tokens count as in the evaluation of `run`, at its context length.
    """
    return validation_nll(run, data, network, journal) if is_tuned() else None


def validation_nll(run: Run, data: Prepared, network: Any, journal: Journal) -> float:
    """Return the mean nll in nats of the last tokens of validation documents at the context length of `run`."""
    length, settings = run.context_length, run.evaluation
    sizes = byte_lengths(data.tokenizer)
    windows = choose_windows(data.validation, length, settings.documents, sizes, drawn_end, "context_length")
    objective = Objective(windows, settings.scored_tokens, [], settings.batch_tokens)
    nll = objective.text(network.eval())
    journal.say(f"tune   nll {nll:.4f} of {len(windows.names)} validation documents at {length} tokens")
    return nll
