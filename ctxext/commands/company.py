"""The processes that carry out a command together: they meet, the first one speaks and writes, none is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from ctxext.commands.interruption import typed
from ctxext.config.schema import Run
from ctxext.parallel.mesh import Mesh, is_lost, joining
from ctxext.reporting.follower import Follower
from ctxext.reporting.journal import Journal
from ctxext.training.lock import lock
from ctxext.training.signals import INTERRUPTED


@contextmanager
def company(run: Run, folder: Path, command: str, device: str) -> Iterator[tuple[Mesh, Path]]:
    """Yield the processes that carry out `command` for `run`, and the folder of the first, which is that of all.

    They compute on a `device`, cpu or cuda. Where one of them is lost the others end with 75: what is saved is there.
    """
    with joining(run.parallel, device) as mesh:
        folder = Path(mesh.told(lambda: str(folder.absolute()))) if mesh.size > 1 else folder
        try:
            yield mesh, folder
        except RuntimeError as error:
            if mesh.size == 1 or not is_lost(error):
                raise
            way = typed(command, f"hydra.run.dir={folder}")
            said = "another process of the run has ended; what goes on from the last save"
            journal_of(mesh, folder, run.name).say(f"{said}: {way}")
            raise SystemExit(INTERRUPTED) from error


def journal_of(mesh: Mesh, folder: Path, name: str) -> Journal:
    """Return the journal of the run `name` in `folder`, which only the first process of `mesh` tells anybody."""
    return Journal(folder, name) if mesh.is_first else Follower(folder, name)


def held(mesh: Mesh, folder: Path, journal: Journal) -> AbstractContextManager[None]:
    """Return what holds `folder` for all processes of `mesh`, and tells `journal` who held it."""
    return lock(folder, journal.say) if mesh.is_first else nullcontext()
