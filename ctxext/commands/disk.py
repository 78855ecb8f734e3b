"""What is said when a disk is full, or has no place for a folder."""

import errno
import os
import re
import shutil
from pathlib import Path
from stat import S_ISDIR

from ctxext.refusal import require

FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
"""A disk without room, a limit on the size of a file, and a quota."""


def check_cache(folder: Path) -> None:
    """Refuse a cache at `folder` if no folder can be there; make none."""
    reason = ""
    for place in (folder, *folder.absolute().parents):
        try:
            reason = "" if S_ISDIR(place.stat().st_mode) else f"{place} is no folder"
        except (FileNotFoundError, NotADirectoryError):  # then one above says more
            continue
        except OSError as error:
            reason = str(error.strerror)
        break
    require(not reason, f"cache={folder}: no folder can be made there ({reason}); write cache=FOLDER with another")


def full_disk(error: BaseException, folder: Path) -> str:
    """Return that a disk is full, where, and what helps, if `error` of a run in `folder` says so; nothing otherwise."""
    told = re.search(r"\(os error (\d+)\)", str(error))  # as safetensors and tokenizers say it
    number = error.errno if isinstance(error, OSError) else int(told[1]) if told else None
    if number not in FULL:
        return ""
    path = Path(getattr(error, "filename", None) or folder)
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    return (
        f"{path}: could not be written ({os.strerror(number)}), {free} bytes are free there; make room, or choose "
        "another disk by hydra.run.dir=FOLDER and cache=FOLDER"
    )
