"""Text of the user's own: plain files, and JSON lines with a text or an (input, target) pair each."""

import glob
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ctxext.data.documents import Defect, Document
from ctxext.data.sources import Source
from ctxext.refusal import require, spelt

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
class Jsonl(Source):
    """Files of JSON lines, one document each; `path` as in `Text`.

    With `input_field` and `target_field` a line that has either is an (input, target) pair, and any other has its text
    in `text_field`.
    """

    path: str | list[str]
    text_field: str = "text"
    input_field: str = ""
    target_field: str = ""

    def __post_init__(self) -> None:
        """Refuse values of the wrong type or out of range."""
        super().__post_init__()
        check_fields(self.input_field, self.target_field)

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
        return row_document(row, where, self.text_field, self.input_field, self.target_field, len(line))


def check_fields(input_field: str, target_field: str) -> None:
    """Refuse one field of a pair without the other."""
    require(
        bool(input_field) == bool(target_field),
        f"dataset.input_field and dataset.target_field go together, got {input_field!r} and {target_field!r}",
    )


def row_document(
    row: Mapping[str, object], where: str, text_field: str, input_field: str, target_field: str, size: int
) -> Document | Defect:
    """Return the pair or the text in `row`, or the defect of `size` bytes at `where`."""
    if input_field and (input_field in row or target_field in row):
        fields = [input_field, target_field]
    else:
        fields = [text_field]
    texts: list[str] = []
    for field in fields:
        value = row.get(field)
        if isinstance(value, str) and value.strip():
            texts.append(value)
        else:
            return Defect(where, fault(row, field), size)
    return Document(where, *texts)


def fault(row: Mapping[str, object], field: str) -> str:
    """Say what keeps `field` of `row` from being a text."""
    if field not in row:
        return f"missing field {field!r}"
    value = row[field]
    if value is None:
        return f"field {field!r} is null"
    if isinstance(value, str):
        return f"field {field!r} is empty"
    kinds: dict[type, str] = {list: "a list", dict: "an object"}
    return f"field {field!r} is {kinds.get(type(value)) or spelt(type(value))}, not a text"


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
