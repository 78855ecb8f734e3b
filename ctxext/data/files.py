"""Text of the user's own: plain files, and JSON lines with a text or an (input, target) pair each."""

import glob
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ctxext.data.documents import Defect, Document
from ctxext.data.fields import Table
from ctxext.data.sources import Source
from ctxext.refusal import require

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class Text(Source):
    """UTF-8 files, one document each: `path` is a file, a folder, a glob, or a list of them."""

    path: str | list[str]

    def items(self) -> Iterator[Document | Defect]:
        """Yield a document or a defect for each file, the files of a folder in the order of their names."""
        for path in found(self.path):
            yield read_text(path)


@dataclass(frozen=True, kw_only=True)
class Jsonl(Table):
    """Files of JSON lines, one document each; `path` as in `Text`."""

    path: str | list[str]

    def items(self) -> Iterator[Document | Defect]:
        """Yield a document or a defect for each line that isn't blank."""
        for path in found(self.path):
            yield from self.lines(path)

    def lines(self, path: Path) -> Iterator[Document | Defect]:
        """Yield a document or a defect for each line of the file at `path`, and a defect if it has none."""
        empty = True
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    line = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
                    if line.strip():
                        empty = False
                        yield self.line(f"{path}:{number}", line)
        except OSError as error:
            yield Defect(str(path), f"can't be read ({error.strerror})", 0)
            return
        if empty:
            yield Defect(str(path), "empty file", path.stat().st_size)

    def line(self, where: str, line: bytes) -> Document | Defect:
        """Return the document in `line`, or the defect at `where`."""
        try:
            row = json.loads(line.decode())
        except UnicodeDecodeError:
            return Defect(where, "not UTF-8", len(line))
        except json.JSONDecodeError as error:
            return Defect(f"{where}:{error.colno}", "broken JSON", len(line))
        except (RecursionError, ValueError):  # ValueError: a number of more digits than Python takes
            return Defect(where, "JSON beyond limits", len(line))
        if not isinstance(row, dict):
            return Defect(where, "not a JSON object", len(line))
        return self.document(row, where, len(line))


def read_text(path: Path) -> Document | Defect:
    """Return the document in the file at `path`, or what is wrong with the file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return Defect(str(path), f"can't be read ({error.strerror})", 0)
    if not content.strip():
        return Defect(str(path), "empty file", len(content))
    try:
        return Document(str(path), content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Defect(f"{path}:{line}", "not UTF-8", len(content))


def found(path: str | list[str]) -> list[Path]:
    """Return the files at `path`, each once by its real path; refuse a path at which nothing is."""
    patterns = [path] if isinstance(path, str) else list(path)
    require(bool(patterns) and all(patterns), "dataset.path is empty; give files, folders or globs")
    files: dict[str, Path] = {}
    for pattern in patterns:
        for file in expanded(pattern):
            files.setdefault(os.path.realpath(file), file)
    return list(files.values())


def expanded(pattern: str) -> list[Path]:
    """Return the files that `pattern` stands for, in the order of their names; refuse if there are none."""
    path = Path(pattern).expanduser()
    if not os.path.lexists(path) and glob.has_magic(pattern):
        files = [file for match in matches(path) for file in inside(match)]
        require(bool(files), f"dataset.path={pattern} matches no file")
    else:
        require(os.path.lexists(path), f"dataset.path={pattern} does not exist")
        files = inside(path)
        require(bool(files), f"dataset.path={pattern} holds no file")
    return files


def matches(pattern: Path) -> list[Path]:
    """Return what the glob `pattern` matches, but for hidden names, sorted."""
    magic = next(index for index, part in enumerate(pattern.parts) if glob.has_magic(part))
    # Unlike glob.glob, a folder's own `**` doesn't follow links, which may turn back and never end.
    folder = Path(*pattern.parts[:magic])
    names = (match.relative_to(folder) for match in folder.glob(str(Path(*pattern.parts[magic:]))))
    return [folder / name for name in sorted(names) if not any(part.startswith(".") for part in name.parts)]


def inside(root: Path) -> list[Path]:
    """Return `root` if it is a file, or the files below it but for hidden ones, without following links to folders."""
    if not root.is_dir():
        return [root]
    files: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files.extend(Path(folder, name) for name in sorted(names) if not name.startswith("."))
    return files
