"""Folders that are written once under a digest of what went into them, and are whole or not there."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path

MANIFEST = "MANIFEST.json"


def digest_of(parts: Iterable[str]) -> str:
    """Return a hash of `parts`; the length before each keeps ("ab", "c") apart from ("a", "bc")."""
    state = blake2b(digest_size=16)
    for part in parts:
        content = part.encode("utf-8", "surrogatepass")
        state.update(len(content).to_bytes(8, "big"))
        state.update(content)
    return state.hexdigest()


def publish(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary folder, seal it with a manifest, and rename it to `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=folder.parent) as scratch:
        fresh = Path(scratch) / folder.name
        fresh.mkdir()
        write(fresh)
        (fresh / MANIFEST).write_text(json.dumps(hashes(fresh), indent=1), encoding="utf-8")
        if folder.exists() and not is_whole(folder):
            shutil.rmtree(folder)
        try:
            fresh.rename(folder)
        except OSError:
            # Another process of the same run was faster; its folder holds the same.
            if not is_whole(folder):
                raise


def is_whole(folder: Path) -> bool:
    """Return whether every file of `folder` is as its manifest says."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return bool(manifest == hashes(folder))
    except (OSError, ValueError):
        return False


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of each file in `folder`, the manifest apart, by its path there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in paths}


def file_hash(path: Path) -> str:
    """Return the hash of the file at `path`."""
    state = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            state.update(block)
    return state.hexdigest()
