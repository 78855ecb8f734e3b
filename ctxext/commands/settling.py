"""Which config a job gets: what was composed, that of an earlier run, or that of weights that others made."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from ctxext.config.adoption import adopted, adopted_anew
from ctxext.config.record import FILE
from ctxext.config.saved import saved_run
from ctxext.formats.bases import GGUF
from ctxext.refusal import require

OF_A_RUN = ("eval", "export", "generate")
"""The commands that may be given an earlier run."""
WITHOUT_MEASURING = ("export", "generate")


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
