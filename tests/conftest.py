"""What many tests need: the config and the typed run that a command line stands for."""

from collections.abc import Callable, Iterator

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from ctxext.config import lengths
from ctxext.config.building import build
from ctxext.config.folders import CONFIG_DIR
from ctxext.config.schema import Run


@pytest.fixture
def composed() -> Iterator[Callable[..., DictConfig]]:
    """Return a function from overrides to the config that they compose to."""
    lengths.register()
    ConfigStore.instance().store("schema", Run)
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        yield lambda *overrides: compose("config", list(overrides))


@pytest.fixture
def built(composed: Callable[..., DictConfig]) -> Callable[..., Run]:
    """Return a function from overrides to the run that they build."""
    return lambda *overrides: build(composed(*overrides))
