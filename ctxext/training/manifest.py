"""What a checkpoint's folder must hold: size and SHA-256 of each file, written last, so that a lost bit is found."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ctxext.refusal import Refusal
from ctxext.strangers import content_of, object_in

MODEL = "model.safetensors"
OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"
NAMES = (MODEL, OPTIMIZER, STATE)
"""What a checkpoint holds beside its manifest."""
MANIFEST = "MANIFEST.json"
FORMAT = 1
LONGEST = 500
"""The letters of a sentence on names that a stranger may have chosen."""


def write_manifest(folder: Path) -> None:
    """Write and flush the manifest of all files of `folder`, after flushing each of them; then flush the folder."""
    files = {}
    for path in sorted(folder.iterdir()):
        flush(path)
        files[path.name] = {"size": path.stat().st_size, "sha256": digest(path)}
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({"format": FORMAT, "files": files}, indent=1) + "\n", encoding="utf-8")
    flush(manifest)
    flush(folder)


def fault(folder: Path) -> str:
    """Return what is wrong with `folder` against its manifest, naming file and rule, or nothing if all is well."""
    try:
        return fault_of_files(folder)
    except OSError as error:  # another process may delete it, or the disk fail
        return f"{error.filename or folder}: can't be read ({error.strerror})"


def fault_of_files(folder: Path) -> str:
    """Return what `fault` does, where the disk lets the folder be read."""
    manifest = folder / MANIFEST
    if folder.is_symlink() or not folder.is_dir():
        return f"{folder}: must be a folder, not a link or a file"
    if manifest.is_symlink():
        return f"{manifest}: no manifest can be read, it is a link"
    try:
        content = object_in(content_of(manifest), manifest)
    except Refusal as refusal:
        return f"{manifest}: no manifest can be read ({str(refusal).removeprefix(f'{manifest}: ')})"
    entries = content.get("files")
    if content.get("format") != FORMAT or not isinstance(entries, dict):
        return f"{manifest}: not a manifest of format {FORMAT}"
    if entries.keys() != set(NAMES):
        return f"{manifest}: must name {', '.join(NAMES)}, got {', '.join(sorted(entries)) or 'nothing'}"[:LONGEST]
    for path in sorted(folder.iterdir()):
        if path.name not in (MANIFEST, *NAMES):
            return f"{path}: not named by the manifest"
    reasons = (f"{folder / name}: {reason}" for name in NAMES if (reason := wrong_size(folder / name, entries[name])))
    other = "differs from the SHA-256 of the manifest"  # which is asked once all sizes are right
    changed = (f"{folder / name}: {other}" for name in NAMES if digest(folder / name) != entries[name].get("sha256"))
    return next(reasons, "") or next(changed, "")


def wrong_size(path: Path, entry: Any) -> str:
    """Return how the kind or the size of the file `path` differs from its manifest `entry`, or nothing."""
    if path.is_symlink() or not path.is_file():
        return "missing, or not a plain file"
    size = path.stat().st_size
    same = isinstance(entry, dict) and size == entry.get("size")
    return "" if same else f"has {size} bytes, not those of the manifest"


def digest(path: Path) -> str:
    """Return the SHA-256 of the file `path`, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Wait until the file or folder `path` is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
