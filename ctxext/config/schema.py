"""The schema of a run: its dataclasses are also the arguments that the stages receive."""

import re
from dataclasses import dataclass
from typing import Any

from ctxext.evaluation.settings import Evaluation
from ctxext.formats.settings import Base, Export
from ctxext.refusal import require
from ctxext.searching.settings import SearchSettings
from ctxext.training.settings import Trainer


@dataclass
class Run:
    """One run: model x position x mask x attention x data, and the settings of the stages.

    The slots typed Any hold the classes that the option files name, since OmegaConf has no union of dataclasses.
    """

    name: str
    seed: int
    context_length: int
    cache: str
    device: str
    run: str
    model: Any
    base: Base
    position: Any
    mask: Any
    attention: Any
    dataset: Any
    trainer: Trainer
    evaluation: Evaluation
    search: SearchSettings
    export: Export

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_scalars(self)


def check_scalars(run: Any) -> None:
    """Refuse the top-level values of `run`, a `Run` or its config, that no slot could be made with."""
    whole = re.fullmatch(r"[\w][\w.+-]*", run.name)
    require(
        whole is not None,
        f"name must be letters, digits, '.', '_', '+' and '-', since a folder bears it, got {run.name!r}",
    )
    require(run.seed >= 0, f"seed must be at least 0, got {run.seed}")
    require(run.context_length > 0, f"context_length must be above 0 tokens, got {run.context_length}")
    trained = run.base.trained_length
    require(trained > 0, f"base.trained_length must be above 0 tokens, got {trained}")
    known = re.fullmatch(r"auto|cpu|cuda(:\d+)?", run.device)
    require(known is not None, f"device must be auto, cpu, cuda or cuda:N, got {run.device!r}")
