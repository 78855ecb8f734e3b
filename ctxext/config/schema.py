"""The schema of a run: its dataclasses are also the arguments that the stages receive."""

import math
import re
from dataclasses import dataclass
from typing import Any

from ctxext.evaluation.settings import LONGEST, Evaluation
from ctxext.formats.settings import Base, Export
from ctxext.parallel.settings import Parallel
from ctxext.planning.settings import Hardware
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
    prompt: str
    max_new_tokens: int
    temperature: float
    top_k: int
    top_p: float
    stop: list[str]
    chat: bool
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
    parallel: Parallel
    hardware: Hardware

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
    for key, length in (("context_length", run.context_length), ("base.trained_length", run.base.trained_length)):
        require(length > 0, f"{key} must be above 0 tokens, got {length}")
        require(length <= LONGEST, f"{key} must be at most {LONGEST} tokens, got {length}")
    check_sampling(run)
    known = re.fullmatch(r"auto|cpu|cuda(:\d+)?", run.device)
    require(known is not None, f"device must be auto, cpu, cuda or cuda:N, got {run.device!r}")


def check_sampling(run: Any) -> None:
    """Refuse the values of `run`, a `Run` or its config, with which no text can be generated."""
    require(run.max_new_tokens >= 1, f"max_new_tokens must be at least 1, got {run.max_new_tokens}")
    require(
        0 <= run.temperature < math.inf,
        f"temperature must be a finite number of at least 0, which is greedy, got {run.temperature}",
    )
    require(run.top_k >= 0, f"top_k must be at least 0, which is all tokens, got {run.top_k}")
    require(0 < run.top_p <= 1, f"top_p must be above 0 and at most 1, which is all tokens, got {run.top_p}")
    require("" not in run.stop, f"stop must be a list of texts that aren't empty, got {list(run.stop)}")


SAMPLING = ("prompt", "max_new_tokens", "temperature", "top_k", "top_p", "stop", "chat")
"""The keys of `generate` alone: what an earlier run was given there is none of its configuration."""
