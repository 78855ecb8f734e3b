"""The folder of a run, held and given its configuration while a command is carried out in it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from ctxext.config.record import offered
from ctxext.training.lock import lock


@contextmanager
def kept(config: DictConfig, folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold `folder` while the block runs, and keep `config` there as far as it fits; `say` whose folder it was."""
    with lock(folder, say), offered(config, folder):
        yield
