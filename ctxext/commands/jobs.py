"""A command carried out for one job or for many: all are built before the first starts, and each failure is recorded.

Hydra alone would build each job only when its turn comes, and name only the first failure at the end.
"""

import importlib
import itertools
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
from hydra import compose
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ctxext.commands.disk import check_cache
from ctxext.commands.sweep import Outcome, verdict
from ctxext.config import lengths
from ctxext.config.adoption import adopted, adopted_anew
from ctxext.config.folders import CONFIG_DIR
from ctxext.config.mistakes import sentence
from ctxext.config.record import FILE, offered
from ctxext.config.saved import saved_run, value_of_run
from ctxext.config.schema import Run
from ctxext.formats.bases import GGUF
from ctxext.refusal import Refusal, require
from ctxext.training.lock import Held, lock

LOG = logging.getLogger(__name__)
OF_A_RUN = ("eval", "export", "generate")
"""The commands that may be given an earlier run."""
CUT_SHORT = ("generate", "interrupted")
"""No failure: a text may be ended when it is long enough, and its own record says so."""
WITHOUT_MEASURING = ("export", "generate")


@dataclass
class Errand:
    """A `command`, the `stage` (module:function) that carries it out, and the outcomes of its jobs so far."""

    command: str
    stage: str
    show_traceback: bool
    announce: Callable[[str], None]
    planned: int = 0
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def is_sweep(self) -> bool:
        """Whether several jobs were planned."""
        return self.planned > 0

    def job(self, config: DictConfig) -> None:
        """Build the run of `config` and carry it out in Hydra's folder; only interruptions are raised."""
        ours = HydraConfig.get()
        folder, overrides = Path(ours.runtime.output_dir), as_typed(ours.overrides.task)
        number = int(ours.job.num) if ours.mode == RunMode.MULTIRUN else 0
        if self.is_sweep:
            self.announce(f"[{number + 1}/{self.planned}] {' '.join(overrides)} -> {folder}")
        status, said, was_there = "interrupted", "", (folder / FILE).is_file()
        try:
            config = settled(self.command, config, overrides)
            self.carry_out(config, folder)
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

    def carry_out(self, config: DictConfig, folder: Path) -> None:
        """Build the run of `config`, lock `folder`, keep the config there as far as it fits, and call the stage."""
        run = built(config)
        check_cache(Path(run.cache))
        module, _, function = self.stage.partition(":")
        with lock(folder, self.announce), offered(config, folder):
            getattr(importlib.import_module(module), function)(run, folder)


current: list[Errand] = []
"""The errand at hand is the last; Hydra makes its callbacks from the config, so that they can't be given it."""


def run(errand: Errand) -> None:
    """Let Hydra compose the jobs of the command line, and carry out `errand` for each; raise early refusals."""
    lengths.register()
    OmegaConf.register_new_resolver("of_run", value_of_run, replace=True)
    ConfigStore.instance().store("schema", Run)
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


class Preflight(Callback):
    """Build every job before a folder is made or the first starts, so that a mistake in any refuses them all."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Build the one job."""
        overrides = as_typed(config.hydra.overrides.task)
        with refusing_at_once("", overrides):
            check(config, overrides)

    def on_multirun_start(self, config: DictConfig, config_name: str = "config", **_: Any) -> None:
        """Build each job of the sweep, where Hydra's own sweeper fixes the jobs beforehand."""
        if not config.hydra.sweeper._target_.endswith("BasicSweeper"):
            current[-1].planned = 1
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

    check_base(built(settled(current[-1].command, OmegaConf.create(plain), overrides)))


def built(config: DictConfig) -> Run:
    """Return the typed run of `config`; from here on numbers too small for full precision are 0."""
    import torch

    # The tails of a softmax are such numbers, and slow. torch's threads inherit this only if they don't run yet.
    torch.set_flush_denormal(True)
    from ctxext.config.building import build  # the classes of a run import torch, composing doesn't

    return build(config)


def settled(command: str, config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return the config for `command`: `config`, or that of the earlier run that it names, with the `overrides`."""
    earlier = str(config.run)
    prompted = command != "generate" or config.prompt != ""
    require(prompted, "generate needs prompt=TEXT, the text to go on from; prompt=- reads it from stdin")
    if not earlier:
        return unmeasured(command, adopted(untrained(command, config), overrides))
    takers = f"{', '.join(OF_A_RUN[:-1])} and {OF_A_RUN[-1]}"
    require(
        command in OF_A_RUN,
        f"run={earlier} is of {takers}; {command} takes base.path=FOLDER to start from weights",
    )
    path = Path(earlier)
    is_folder = (path / "config.json").is_file() and not (path / FILE).is_file()  # of Hugging Face
    if is_folder or path.suffix == GGUF:
        config = untrained(command, config).copy()
        config.run, config.base.path = "", earlier
        return unmeasured(command, adopted(config, overrides))
    return unmeasured(command, adopted_anew(saved_run(path, config, overrides), overrides))


def untrained(command: str, config: DictConfig) -> DictConfig:
    """Return `config`, with no step of training where `command` takes weights as they are."""
    if command not in OF_A_RUN:
        return config
    config = config.copy()
    config.trainer.steps = 0
    return config


def unmeasured(command: str, config: DictConfig) -> DictConfig:
    """Return `config` with room for every length where `command` measures nothing, so that no evaluation refuses it."""
    if command in WITHOUT_MEASURING:
        config = config.copy()
        for key in ("scored_tokens", "truncated_stride"):
            OmegaConf.update(config, f"evaluation.{key}", 1)
    return config


def combinations(overrides: Sequence[str], params: Mapping[str, str]) -> Iterator[list[str]]:
    """Yield the overrides of each job of a sweep over `params` and `overrides`, in Hydra's order; later ones win."""
    words = [f"{key}={value}" for key, value in params.items()] + list(overrides)
    choices: dict[str, list[str]] = {}
    for override in OverridesParser.create().parse_overrides(words):
        key = override.get_key_element()
        if override.is_sweep_override():
            require(override.is_discrete_sweep(), f"{override.input_line}: a sweep must name its values")
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            choices[key] = [str(override.input_line)]
    yield from (list(job) for job in itertools.product(*choices.values()))


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
