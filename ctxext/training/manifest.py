"""What a checkpoint's folder must hold: size and SHA-256 of each file, written last, so that a lost bit is found."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

MANIFEST = "MANIFEST.json"
FORMAT = 1


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
    manifest = folder / MANIFEST
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        return f"{manifest}: no manifest can be read ({error})"
    if not isinstance(content, dict) or content.get("format") != FORMAT or not isinstance(content.get("files"), dict):
        return f"{manifest}: not a manifest of format {FORMAT}"
    for path in sorted(folder.iterdir()):
        if path.name not in (MANIFEST, *content["files"]):
            return f"{path}: not named by the manifest"
    for name, entry in content["files"].items():
        reason = mismatch(folder, name, entry)
        if reason:
            return f"{folder / Path(name).name}: {reason}"
    return ""


def mismatch(folder: Path, name: str, entry: Any) -> str:
    """Return how the file `name` of `folder` differs from its manifest `entry`, or nothing."""
    if name != Path(name).name or name.startswith("."):
        return "the manifest may name only plain files of its own folder"
    path = folder / name
    if path.is_symlink() or not path.is_file():
        return "missing, or not a plain file"
    if not isinstance(entry, dict) or path.stat().st_size != entry.get("size"):
        return f"has {path.stat().st_size} bytes, not those of the manifest"
    return "" if digest(path) == entry.get("sha256") else "differs from the SHA-256 of the manifest"


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
