"""Text of the user's own: plain files, and JSON lines with a text or an (input, target) pair each."""

import glob
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from ctxext.data.documents import UNDECODED, Defect, Document, beginning_of
from ctxext.data.fields import Table
from ctxext.data.sources import REPLACE, Source
from ctxext.refusal import require

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True)
class Text(Source):
    """UTF-8 files, one document each: `path` is a file, a folder, a glob, or a list of them."""

    path: str | list[str]

    def items(self) -> Iterator[Document | Defect]:
        """Yield a document or a defect for each file, the files of a folder in the order of their names."""
        for path in found(self.path):
            yield read_text(path, self.errors == REPLACE)

    def where(self, document: Document, place: int) -> str:
        """Return file and line of the character at `place` of `document`."""
        return f"{document.name}:{document.text.count(chr(10), 0, place) + 1}"


@dataclass(frozen=True, kw_only=True)
class Jsonl(Table):
    """Files of JSON lines, one document each; `path` as in `Text`. A line has at most `longest_line` bytes."""

    path: str | list[str]
    longest_line: int = 1 << 26

    def __post_init__(self) -> None:
        """Refuse values of the wrong type or out of range."""
        super().__post_init__()
        require(self.longest_line >= 1, f"dataset.longest_line must be at least 1 byte, got {self.longest_line}")

    def items(self) -> Iterator[Document | Defect]:
        """Yield a document or a defect for each line that isn't blank."""
        for path in found(self.path):
            yield from self.lines(path)

    def lines(self, path: Path) -> Iterator[Document | Defect]:
        """Yield a document or a defect for each line of the file at `path`, and a defect if it has none."""
        empty = True
        try:
            with path.open("rb") as file:
                for number, (line, size) in enumerate(bounded_lines(file, self.longest_line), start=1):
                    if line.removeprefix(BYTE_ORDER_MARK).strip():
                        empty = False
                        yield self.line(f"{path}:{number}", line, size)
        except OSError as error:
            yield Defect(str(path), f"can't be read ({error.strerror})", 0)
            return
        if empty:
            yield nothing_in(path, path.stat().st_size)

    def line(self, where: str, line: bytes, size: int) -> Document | Defect:
        """Return the document in `line`, of `size` bytes, or the defect at `where`."""
        marked, content = line.startswith(BYTE_ORDER_MARK), beginning_of(line)
        if size > self.longest_line:
            return Defect(where, f"longer than dataset.longest_line={self.longest_line}", size, content=content)
        try:
            text, flaws = decoded(line.removeprefix(BYTE_ORDER_MARK), self.errors == REPLACE)
            row = json.loads(text)
        except UnicodeDecodeError:
            return Defect(where, UNDECODED, size, content=content)
        except json.JSONDecodeError as error:
            return Defect(f"{where}:{error.colno}", broken(text, error), size, content=content)
        except (RecursionError, ValueError):  # ValueError: a number of more digits than Python takes
            return Defect(where, "JSON beyond limits", size, content=content)
        if not isinstance(row, dict):
            return Defect(where, "not a JSON object", size, content=content)
        found = self.document(row, where, size)
        if isinstance(found, Defect):
            return replace(found, content=content)
        return replace(found, flaws=(*("byte-order mark" for _ in range(marked)), *flaws))


def bounded_lines(file: BinaryIO, most: int) -> Iterator[tuple[bytes, int]]:
    """Yield each line of `file` with its bytes; of one that has more than `most`, no more than those are kept."""
    while line := file.readline(most + 1):
        size, rest = len(line), line
        while len(line) > most and rest and not rest.endswith(b"\n"):
            rest = file.readline(most + 1)
            size += len(rest)
        yield line, size


def decoded(content: bytes, repairs: bool) -> tuple[str, tuple[str, ...]]:
    """Return the text in `content`, and why it was repaired, if it may be; raise if it is no UTF-8."""
    try:
        return content.decode(), ()
    except UnicodeDecodeError:
        if not repairs or content.startswith(UTF_16):  # of which nothing would be left
            raise
        return content.decode(errors="replace"), (UNDECODED,)


def broken(text: str, error: json.JSONDecodeError) -> str:
    """Return how the line `text` is broken: only a file's last has no end, and half of it is what a crash leaves."""
    ends_early = error.msg.startswith("Unterminated string") or error.pos >= len(text.rstrip())
    return "cut last line" if ends_early and not text.endswith("\n") else "broken JSON"


def nothing_in(path: Path, size: int) -> Defect:
    """Return the defect of a file at `path` of `size` bytes with nothing but white space."""
    return Defect(str(path), "white space only" if size else "empty file", size)


def read_text(path: Path, repairs: bool) -> Document | Defect:
    """Return the document in the file at `path`, repaired where it may be, or what is wrong with the file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return Defect(str(path), f"can't be read ({error.strerror})", 0)
    if not content.removeprefix(BYTE_ORDER_MARK).strip():
        return nothing_in(path, len(content))
    try:
        text, flaws = decoded(content, repairs)
        return Document(str(path), text, flaws=flaws)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        hint = " but UTF-16, by its first bytes; save it as UTF-8" if content.startswith(UTF_16) else ""
        return Defect(f"{path}:{line}", UNDECODED, len(content), hint, beginning_of(content))


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
