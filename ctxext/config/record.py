"""The configuration as a run's folder keeps it: the one that fits the checkpoints there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from ctxext.config.literal import literal
from ctxext.refusal import Refusal

FILE = "config.yaml"
CHECKPOINTS = "checkpoints"


@dataclass
class Offer:
    """A `config` for `folder`; once it is accepted, what the folder saves is saved under it."""

    config: DictConfig
    folder: Path
    is_accepted: bool = False


OFFER: ContextVar[Offer | None] = ContextVar("offer", default=None)


@contextmanager
def offered(config: DictConfig, folder: Path) -> Iterator[None]:
    """Keep `config` in `folder` while the block runs, and after it; where checkpoints are, only once it is accepted.

    Of a block that is refused before, the folder keeps the config that it already had. The folder must be locked.
    """
    file, offer = folder / FILE, Offer(config, folder)
    earlier = file.read_bytes() if file.is_file() else b""
    if not any((folder / CHECKPOINTS).glob("step-*")):
        write_config(config, folder)
    outer = OFFER.set(offer)
    try:
        yield
    except Refusal:
        if earlier and not offer.is_accepted:
            put(earlier, folder)
        raise
    finally:
        OFFER.reset(outer)


def accept(folder: Path) -> None:
    """Keep the config that is offered to `folder`, if one is: it goes on from the checkpoints there."""
    offer = OFFER.get()
    if offer is not None and offer.folder.resolve() == folder.resolve():
        write_config(offer.config, folder)
        offer.is_accepted = True


def write_config(config: DictConfig, folder: Path) -> None:
    """Write `config`, every interpolation resolved, as `config.yaml` of the run's `folder`, in whole or not at all."""
    plain = OmegaConf.to_container(config, resolve=True)
    put(OmegaConf.to_yaml(OmegaConf.create(literal(plain))).encode(), folder)


def put(content: bytes, folder: Path) -> None:
    """Write `content` as `config.yaml` of `folder`."""
    beside = folder / f"{FILE}.part-{os.getpid()}"
    beside.write_bytes(content)
    beside.replace(folder / FILE)
