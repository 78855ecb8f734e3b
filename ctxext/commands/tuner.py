"""`hydra/sweeper=optuna`: a study whose trials are jobs; it lies in the sweep's folder and goes on from there.

The plugin hydra-optuna-sweeper isn't used: it takes optuna below 3, whose storage fails with SQLAlchemy 2, and numbers
jobs from 0 again when a study goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from ctxext.commands.sweep import FAILURE, STUDY, Outcome
from ctxext.refusal import Refusal, require
from ctxext.training.lock import lock

TUNER = "hydra_plugins.ctxext.Tuner"
"""The name by which the option file calls the class: Hydra takes plugins of this package alone."""
SPACES = "+space"


class Tuner(Sweeper):
    """A study of `trials` in all, `at_once` of them at a time, over `params` and what is typed; `seed` draws."""

    def __init__(self, trials: int, at_once: int, seed: int, params: Mapping[str, str] | None) -> None:
        self.trials, self.at_once, self.seed, self.params = trials, at_once, seed, dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Get ready to start jobs of `task_function`."""
        self.errand = task_function.__self__  # type: ignore[attr-defined]
        self.folder, self.context_length = Path(config.hydra.sweep.dir), int(config.context_length)
        plugins = Plugins.instance()
        self.starter = plugins.instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Carry out the trials that the study lacks under the overrides `arguments`, and say which was best."""
        optuna = imported()
        command = self.errand.command
        require(command == "train", f"hydra/sweeper=optuna tunes train, got {command}; drop it")
        space, fixed = parted([f"{key}={value}" for key, value in self.params.items()] + arguments, optuna)
        require(bool(space), f"hydra/sweeper=optuna has nothing to tune; add {SPACES}=NAME, or KEY=interval(LOW,HIGH)")
        with lock(self.folder, self.errand.announce):  # what another carries out would be taken for cut off
            self.go_on(space, fixed, optuna)

    def go_on(self, space: Mapping[str, Any], fixed: Sequence[str], optuna: Any) -> None:
        """Carry out the trials in `space`, beside what is `fixed`, that the study of `optuna` lacks in its folder."""
        folder = self.folder
        storage = f"sqlite:///{folder.absolute() / STUDY}"
        study = optuna.create_study(storage=storage, study_name="ctxext", load_if_exists=True)
        known = study.get_trials(deepcopy=False)
        study.sampler = optuna.samplers.TPESampler(seed=self.seed + len(known))
        check_space(known, space, folder)
        waiting = [trial for trial in known if trial.state == optuna.trial.TrialState.RUNNING]
        self.carry_out(study, [(trial.number, trial.params) for trial in waiting], fixed)
        while (room := self.trials - len(study.get_trials(deepcopy=False))) > 0:
            asked = [study.ask(space) for _ in range(min(room, self.at_once))]
            self.carry_out(study, [(trial.number, trial.params) for trial in asked], fixed)
        self.conclude(study, fixed, folder)

    def carry_out(self, study: Any, trials: Sequence[tuple[int, Mapping[str, Any]]], fixed: Sequence[str]) -> None:
        """Run the `trials`, each a number and what was drawn for it, and tell `study` how each ended."""
        legal = [(number, typed(drawn, fixed)) for number, drawn in trials]
        legal = [(number, words) for number, words in legal if not self.refused(study, number, words)]
        for first, batch in in_a_row(legal):
            for (number, _), job in zip(batch, self.starter.launch([words for _, words in batch], first), strict=True):
                value = job._return_value
                is_number = isinstance(value, float | int) and value == value
                study.tell(number, value if is_number else None, state=None if is_number else failed())

    def refused(self, study: Any, number: int, words: Sequence[str]) -> bool:
        """Return whether the trial `number` of `words` can't be built; then that is said, recorded and told `study`."""
        from ctxext.commands.jobs import as_typed, check

        own = as_typed(OmegaConf.create(list(words)))
        try:
            check(compose("config", own), own)
        except Exception as error:
            from ctxext.config.mistakes import sentence

            said = sentence(error, own)
        else:
            return False
        folder = self.folder / f"{number}_refused"
        folder.mkdir(exist_ok=True)
        outcome = Outcome(number, "refused", self.context_length, folder, "refused", said)
        outcome.record()
        self.errand.outcomes.append(outcome)
        self.errand.announce(f"[{number + 1}/{self.trials}] {' '.join(own)}: refused: {said}")
        study.tell(number, state=failed())
        return True

    def conclude(self, study: Any, fixed: Sequence[str], folder: Path) -> None:
        """Let the errand close with the command line of the best trial, and keep that in `folder`."""
        from ctxext.commands.interruption import spoken

        done = [trial for trial in study.get_trials(deepcopy=False) if trial.value is not None]
        if not done:
            self.errand.closing = f"no trial of {folder} was done; {folder}/*/{FAILURE} say why"
            return
        best = min(done, key=lambda trial: float(trial.value))
        words = [word for word in typed(best.params, fixed) if not word.startswith(f"{SPACES}=")]
        line = spoken("train", *words)
        told = {"trial": best.number, "validation_nll": best.value, "params": best.params, "command": line}
        (folder / "best.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        self.errand.closing = (
            f"\nbest of {len(done)} trials: {best.number}, nll {best.value:.4f} on validation text\n{line}"
        )


def imported() -> Any:
    """Return optuna; refuse to go on without."""
    try:
        import optuna
    except ImportError as error:
        raise Refusal("hydra/sweeper=optuna needs the package optuna: pip install 'ctxext[tuning]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def failed() -> Any:
    """Return the state of a trial that has no value."""
    from optuna.trial import TrialState

    return TrialState.FAIL


def parted(words: Sequence[str], optuna: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the overrides `words` as what is to be drawn, by key, and as what stays; later words win."""
    space: dict[str, Any] = {}
    fixed: dict[str, str] = {}
    for override in OverridesParser.create().parse_overrides(list(words)):
        key = override.get_key_element()
        space.pop(key, None)
        fixed.pop(key, None)
        if override.is_sweep_override():
            check_spaces(override)
            space[key] = distribution(override, optuna.distributions)
        else:
            fixed[key] = str(override.input_line)
    return space, list(fixed.values())


def check_spaces(override: Override) -> None:
    """Refuse an `override` that would draw the name of a space, and tune nothing that is in it."""
    if override.key_or_group == SPACES.strip("+"):
        names = ",".join(override.sweep_string_iterator()) if override.is_choice_sweep() else "NAME,NAME"
        raise Refusal(
            f"{override.input_line} draws the name of a space; write '{SPACES}=[{names}]' to tune in them all"
        )


def distribution(override: Override, kinds: Any) -> Any:
    """Return from which of the `kinds` of optuna the values of `override` are drawn."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        is_whole = isinstance(value.start, int) and isinstance(value.end, int)
        kind = kinds.IntDistribution if is_whole else kinds.FloatDistribution
        return kind(value.start, value.end, log="log" in value.tags)
    if isinstance(value, RangeSweep) and not value.shuffle:
        listed = list(value.range())
        require(bool(listed), f"{override.input_line}: an empty range")
        kind = kinds.IntDistribution if all(isinstance(one, int) for one in listed) else kinds.FloatDistribution
        return kind(listed[0], listed[-1], step=value.step)
    return kinds.CategoricalDistribution(list(override.sweep_string_iterator()))


def check_space(known: Sequence[Any], space: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with a study in `folder` whose `known` trials drew from another `space`."""
    for trial in known:
        drawn = dict(trial.distributions)
        require(
            drawn == dict(space),
            f"hydra.sweep.dir={folder}: its study tunes {', '.join(sorted(drawn))} within other bounds or by other"
            f" names than {', '.join(sorted(space))}; use another folder",
        )


def typed(drawn: Mapping[str, Any], fixed: Sequence[str]) -> list[str]:
    """Return the overrides of a trial: those that are `fixed`, and what was `drawn`."""
    return [*fixed, *(f"{key}={value}" for key, value in drawn.items())]


def in_a_row(
    trials: Sequence[tuple[int, list[str]]],
) -> Iterator[tuple[int, list[tuple[int, list[str]]]]]:
    """Yield the `trials` in runs whose numbers follow each other, since a launcher counts up; each after its first."""
    run: list[tuple[int, list[str]]] = []
    for number, words in trials:
        if run and number != run[-1][0] + 1:
            yield run[0][0], run
            run = []
        run.append((number, words))
    if run:
        yield run[0][0], run
