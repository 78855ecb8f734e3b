"""The configuration as a run's folder keeps it."""

import os
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from ctxext.config.literal import literal

FILE = "config.yaml"


def write_config(config: DictConfig, folder: Path) -> None:
    """Write `config`, every interpolation resolved, as `config.yaml` of the run's `folder`, in whole or not at all."""
    plain = OmegaConf.to_container(config, resolve=True)
    beside = folder / f"{FILE}.part-{os.getpid()}"  # two runs may begin in one folder, until its lock refuses one
    beside.write_text(OmegaConf.to_yaml(OmegaConf.create(literal(plain))), encoding="utf-8")
    beside.replace(folder / FILE)
