"""The processes that carry out a command together: they meet, the first one speaks and writes, none is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctxext.commands.interruption import typed
from ctxext.config.schema import Run
from ctxext.parallel.mesh import ALONE, Mesh, is_lost, joining
from ctxext.reporting.follower import Follower
from ctxext.reporting.journal import Journal
from ctxext.training.signals import INTERRUPTED
from ctxext.training.soundness import NonFiniteError


@contextmanager
def company(run: Run, folder: Path, command: str, device: str) -> Iterator[tuple[Mesh, Path]]:
    """Yield the processes that carry out `command` for `run`, and the folder of the first, which is that of all.

    They compute on a `device`, cpu or cuda. Where one of them is lost the others end with 75 if anything is saved, else
    with 1; where all raise the same, the first alone does, and the others end.
    """
    mesh = ALONE
    try:
        with joining(run.parallel, device) as mesh:
            folder = Path(mesh.told(lambda: str(folder.absolute()))) if mesh.size > 1 else folder
            yield mesh, folder
    except NonFiniteError as error:
        if mesh.is_first:
            raise
        raise SystemExit(1) from error
    except RuntimeError as error:
        if mesh.size == 1 or not is_lost(error):
            raise
        said, status = after_loss(command, folder)
        journal_of(mesh, folder, run.name).say(said)
        raise SystemExit(status) from error


def after_loss(command: str, folder: Path) -> tuple[str, int]:
    """Return what is said where another process was lost while `command` ran in `folder`, and the exit status."""
    said, way = "another process of the run has ended, its own words say why", typed(command, f"hydra.run.dir={folder}")
    if command == "train" and not any(folder.glob("checkpoints/step-*")):
        return f"{said}; nothing is saved yet, and this begins again: {way}", 1
    return f"{said}; what goes on from the last save: {way}", INTERRUPTED


def journal_of(mesh: Mesh, folder: Path, name: str) -> Journal:
    """Return the journal of the run `name` in `folder`, which only the first process of `mesh` tells anybody."""
    return Journal(folder, name) if mesh.is_first else Follower(folder, name)
