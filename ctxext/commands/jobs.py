"""A command carried out for one job or for many: all are built before the first starts, and each failure is recorded.

Hydra alone would build each job only when its turn comes, and name only the first failure at the end.
"""

import importlib
import logging
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
from hydra import compose
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ctxext.commands.combinations import combinations
from ctxext.commands.disk import check_cache
from ctxext.commands.keeping import kept
from ctxext.commands.settling import settled
from ctxext.commands.sweep import Outcome, afresh, begun_in, ended_in, verdict
from ctxext.commands.tuner import TUNER, Tuner
from ctxext.config import lengths
from ctxext.config.folders import CONFIG_DIR, OWN
from ctxext.config.mistakes import sentence
from ctxext.config.record import FILE
from ctxext.config.saved import value_of_run
from ctxext.config.schema import Run
from ctxext.parallel.launch import TOGETHER, follows, launched
from ctxext.refusal import Refusal
from ctxext.training.lock import Held
from ctxext.training.signals import Interruption

LOG = logging.getLogger(__name__)
CUT_SHORT = ("generate", "interrupted")
"""No failure: a text may be ended when it is long enough, and its own record says so."""
REQUEUED = (signal.SIGUSR1, signal.SIGUSR2)
"""The signals by which submitit preempts a job; by others, such as TERM of scancel, it is over."""


@dataclass
class Errand:
    """A `command`, the `stage` (module:function) that carries it out, and the outcomes of its jobs so far.

    A sweep has the folder `sweep`, where jobs began `earlier`, and may have a `closing` word. A launcher may send the
    errand to other processes, which report by their jobs' folders alone.
    """

    command: str
    stage: str
    show_traceback: bool
    announce: Callable[[str], None]
    planned: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    sweep: Path = Path()
    earlier: Mapping[Path, int] = field(default_factory=dict)
    closing: str = ""

    @property
    def is_sweep(self) -> bool:
        """Whether several jobs were planned."""
        return self.planned > 0

    @property
    def is_begun(self) -> bool:
        """Whether a job of this sweep has begun, here or in another process."""
        return self.is_sweep and (bool(self.outcomes) or begun_in(self.sweep) != self.earlier)

    def __getstate__(self) -> dict[str, Any]:
        """Return what goes to another process, the folder of the user's own options among it."""
        return vars(self) | {"own": OWN.get(), "outcomes": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrive in another process, and make it ready to compose."""
        OWN.set(state.pop("own"))
        vars(self).update(state)
        ready()

    def results(self) -> list[Outcome]:
        """Return how all jobs ended, those in other processes as their folders say, in order."""
        known = {outcome.folder.absolute() for outcome in self.outcomes}
        others = [found for found in ended_in(self.sweep, self.command) if found.folder.absolute() not in known]
        return sorted([*self.outcomes, *(others if self.is_sweep else [])], key=lambda outcome: outcome.number)

    def job(self, config: DictConfig) -> float | None:
        """Carry out the run of `config` as `carried` does, and let what started it queue it again if it is preempted.

        Submitit's own handler does so; it was replaced while the run saved its state.
        """
        try:
            return self.carried(config)
        except Interruption as stop:
            if "SUBMITIT_EXECUTOR" in os.environ and stop.number in REQUEUED:
                os.kill(os.getpid(), stop.number)
            raise

    def carried(self, config: DictConfig) -> float | None:
        """Build the run of `config` and carry it out in Hydra's folder; only interruptions are raised.

        What the stage returns is returned, None where it failed.
        """
        ours = HydraConfig.get()
        folder, overrides = Path(ours.runtime.output_dir), as_typed(ours.overrides.task)
        number = int(ours.job.num) if ours.mode == RunMode.MULTIRUN else 0
        if self.is_sweep:
            self.announce(f"[{number + 1}/{self.planned}] {' '.join(overrides)} -> {folder}")
        status, said, was_there, value = "interrupted", "", (folder / FILE).is_file(), None
        try:
            config = settled(self.command, config, overrides)
            value = self.carry_out(config, folder)
            status = "done"
        except Exception as error:
            status, said = verdict(error, folder)
            was_there |= isinstance(error, Held)
            LOG.info(traceback.format_exc())  # into the run's log; the console has the sentence
            if self.show_traceback:
                traceback.print_exc()
        finally:
            outcome = Outcome(number, config.name, config.context_length, folder, status, said)
            self.outcomes.append(outcome)
            of_another = was_there and status == "refused"  # then the folder is that of an earlier run
            if not of_another and (self.command, status) != CUT_SHORT:
                outcome.record()
        return value

    def carry_out(self, config: DictConfig, folder: Path) -> float | None:
        """Build the run of `config`, lock `folder`, keep the config there as far as it fits, and call the stage.

        Of processes that carry it out together the first locks and keeps; return what the stage returns.
        """
        run = built(config)
        check_cache(Path(run.cache))
        module, _, function = self.stage.partition(":")
        with nullcontext() if follows() else kept(config, folder, self.announce), afresh(folder):
            value: float | None = getattr(importlib.import_module(module), function)(run, folder)
        return value


current: list[Errand] = []
"""The errand at hand is the last; Hydra makes its callbacks from the config, so that they can't be given it."""


def run(errand: Errand) -> None:
    """Let Hydra compose the jobs of the command line, and carry out `errand` for each; raise early refusals."""
    ready()
    Plugins.instance().class_name_to_class[TUNER] = Tuner
    current.append(errand)
    logging.raiseExceptions = False  # a log on a full disk is not what the run fails of
    try:
        hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="config")(errand.job)()
    except SystemExit as stop:
        if isinstance(stop.__cause__, Refusal):
            raise stop.__cause__ from stop.__cause__.__cause__
        raise
    finally:
        current.pop()


def ready() -> None:
    """Let Hydra know the schema and what option files compute with."""
    lengths.register()
    OmegaConf.register_new_resolver("of_run", value_of_run, replace=True)
    ConfigStore.instance().store("schema", Run)


class Preflight(Callback):
    """Build every job before a folder is made or the first starts, so that a mistake in any refuses them all."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Build the one job."""
        overrides = as_typed(config.hydra.overrides.task)
        with refusing_at_once("", overrides):
            check(config, overrides)

    def on_multirun_start(self, config: DictConfig, config_name: str = "config", **_: Any) -> None:
        """Build each job of the sweep, where Hydra's own sweeper fixes the jobs beforehand."""
        current[-1].sweep = Path(config.hydra.sweep.dir)
        current[-1].earlier = begun_in(current[-1].sweep)
        if not config.hydra.sweeper._target_.endswith("BasicSweeper"):  # then each is built when its turn comes
            current[-1].planned = config.hydra.sweeper.get("trials", 1)
            return
        typed = as_typed(config.hydra.overrides.task)
        with refusing_at_once("", typed):
            jobs = list(combinations(typed, config.hydra.sweeper.params or {}))
        current[-1].planned = len(jobs)
        for overrides in jobs:
            own = [word for word in overrides if not all(word in others for others in jobs)]
            with refusing_at_once(f" (job {' '.join(own)})" if own else "", overrides):
                check(compose(config_name, overrides), overrides)


def check(config: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse the job of `config` and its `overrides` if it can't be built; `config` may hold Hydra's own node."""
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    plain.pop("hydra", None)
    from ctxext.commands.foundation import check_base

    run = built(settled(current[-1].command, OmegaConf.create(plain), overrides))
    if current[-1].command in TOGETHER:
        run.parallel.check(launched()[1])
    check_base(run)


def built(config: DictConfig) -> Run:
    """Return the typed run of `config`; from here on numbers too small for full precision are 0."""
    import torch

    # The tails of a softmax are such numbers, and slow. torch's threads inherit this only if they don't run yet.
    torch.set_flush_denormal(True)
    from ctxext.config.building import build  # the classes of a run import torch, composing doesn't

    return build(config)


def as_typed(overrides: Any) -> list[str]:
    """Return the words of Hydra's list `overrides`, whose interpolations would else be resolved in reading them."""
    words: Any = OmegaConf.to_container(overrides, resolve=False)
    return [str(word) for word in words]


@contextmanager
def refusing_at_once(where: str, words: Sequence[str]) -> Iterator[None]:
    """End the program with the sentence of what is raised over `words`, which `where` closes.

    Hydra turns what a callback raises into a warning, unless it ends the program.
    """
    try:
        yield
    except Exception as error:
        refusal = Refusal(sentence(error, words) + where)
        refusal.__cause__ = error
        raise SystemExit(2) from refusal
