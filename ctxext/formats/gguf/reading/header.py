"""The header of a GGUF file: its keys and where its tensors lie, bounded by the file's size before anything is made."""

import mmap
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from ctxext.refusal import Refusal, require

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = 32
MOST_DIMENSIONS = 4
MOST_ENTRIES = 1 << 21
"""Keys, tensors and items of lists in all: 262,144 tokens with their scores, types and merges are 1.3 million."""
LONGEST_TEXT = 1 << 24
"""The bytes of one text, as of a chat template."""
LONGEST_HEADER = 1 << 27
STRING, ARRAY = 8, 9
SCALARS = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "<u1",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
BOOL = 7
SMALLEST_KEY, SMALLEST_TENSOR, SMALLEST_STRING = 13, 24, 8


class Stored(NamedTuple):
    """A tensor in the file: its `shape` as PyTorch counts, its `kind`, and the bytes from `start` up to `stop`."""

    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    start: int
    stop: int


@dataclass(frozen=True)
class Header:
    """The keys of `file` with their values, and its tensors by name."""

    file: Path
    values: dict[str, Any]
    tensors: dict[str, Stored]


def read_header(file: Path) -> Header:
    """Return the header of `file`, read once as long as the file stays as it is; refuse one that is no GGUF file."""
    try:
        state = file.stat()
        return parsed(file, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise Refusal(f"{file}: cannot be read ({error.strerror})") from error


@lru_cache(maxsize=4)
def parsed(file: Path, size: int, changed: int) -> Header:
    """Return the header of `file` of `size` bytes, last `changed` at that time in nanoseconds."""
    require(size >= 24, f"{file}: not a GGUF file, it has {size} bytes")
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        cursor = Cursor(file, content)
        check_magic(cursor)
        num_tensors, num_keys = cursor.scalar("<u8"), cursor.scalar("<u8")
        cursor.expect(num_keys, SMALLEST_KEY, "keys")
        cursor.expect(num_tensors, SMALLEST_TENSOR, "tensors")
        values: dict[str, Any] = {}
        for _ in range(num_keys):
            key = cursor.string()
            require(key.isprintable(), f"{file}: the key {key!r} holds a character that no name has")
            require(key not in values, f"{file}: the key {key!r} occurs twice")
            values[key] = cursor.value(cursor.scalar("<u4"), key)
        listed = [tensor_entry(cursor) for _ in range(num_tensors)]
        start = aligned(cursor, values.get("general.alignment", ALIGNMENT))
        return Header(file, values, placed(file, listed, start, size))


class Cursor:
    """A place in the `content` of `file` that reads on, and refuses to read past the end."""

    def __init__(self, file: Path, content: mmap.mmap) -> None:
        self.file, self.content, self.offset, self.room = file, content, 0, MOST_ENTRIES

    def take(self, size: int) -> int:
        """Return where the next `size` bytes begin, and go behind them; refuse a header that is longer than any is."""
        start = self.offset
        is_there = size <= len(self.content) - start
        require(
            start + size <= LONGEST_HEADER or not is_there, f"{self.file}: its header has over {LONGEST_HEADER} bytes"
        )
        require(is_there, f"{self.file}: the file ends within its header, at byte {start}")
        self.offset = start + size
        return start

    def expect(self, count: int, smallest: int, what: str) -> None:
        """Refuse a `count` of `what`, of at least `smallest` bytes each, for which the file has no room."""
        room = min((len(self.content) - self.offset) // smallest, self.room)
        require(count <= room, f"{self.file}: it names {count} {what}, and has room for {room} at most")
        self.room -= count

    def scalar(self, kind: str) -> int:
        """Return the next number of `kind`, in NumPy's words."""
        return int(np.frombuffer(self.content, kind, 1, self.take(np.dtype(kind).itemsize))[0])

    def string(self) -> str:
        """Return the next text."""
        (size,) = struct.unpack_from("<Q", self.content, self.take(8))
        start = self.take(size)
        require(size <= LONGEST_TEXT, f"{self.file}: a text must have at most {LONGEST_TEXT} bytes, got {size}")
        try:
            return self.content[start : start + size].decode()
        except UnicodeDecodeError as error:
            raise Refusal(f"{self.file}: the text at byte {start} is not UTF-8") from error

    def value(self, kind: int, key: str) -> Any:
        """Return the next value of `key`, of GGUF's type `kind`."""
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            return self.array(key)
        return self.numbers(kind, 1, key)[0]

    def array(self, key: str) -> list[Any]:
        """Return the next list, the value of `key`."""
        kind, count = self.scalar("<u4"), self.scalar("<u8")
        if kind == STRING:
            self.expect(count, SMALLEST_STRING, f"texts in {key}")
            return [self.string() for _ in range(count)]
        return self.numbers(kind, count, key)

    def numbers(self, kind: int, count: int, key: str) -> list[Any]:
        """Return the next `count` numbers of GGUF's type `kind`, values of `key`."""
        require(kind in SCALARS, f"{self.file}: {key} has the unknown type {kind}")
        numpy_kind = np.dtype(SCALARS[kind])
        self.expect(count, numpy_kind.itemsize, f"numbers in {key}")
        found = np.frombuffer(self.content, numpy_kind, count, self.take(count * numpy_kind.itemsize))
        return list((found != 0 if kind == BOOL else found).tolist())


def check_magic(cursor: Cursor) -> None:
    """Go behind magic and version of the file at `cursor`; refuse another kind of file, version or byte order."""
    start = cursor.take(4)
    magic = cursor.content[start : start + 4]
    require(magic == MAGIC, f"{cursor.file}: not a GGUF file, it begins with {magic!r} and not with {MAGIC!r}")
    version = cursor.scalar("<u4")
    require(version & 0xFFFF != 0 or version == 0, f"{cursor.file}: a big-endian GGUF file; only little-endian is read")
    known = " or ".join(map(str, VERSIONS))
    require(version in VERSIONS, f"{cursor.file}: the version of GGUF must be {known}, got {version}")


def aligned(cursor: Cursor, alignment: Any) -> int:
    """Return where the data begin behind `cursor`."""
    is_power = type(alignment) is int and alignment > 0 and alignment & (alignment - 1) == 0
    require(is_power, f"{cursor.file}: general.alignment must be a power of two, got {alignment!r}")
    return cursor.offset + -cursor.offset % int(alignment)


class Listed(NamedTuple):
    """A tensor as the header lists it: the fastest dimension first, and `offset` from where the data begin."""

    name: str
    dimensions: tuple[int, ...]
    kind: int
    offset: int


def tensor_entry(cursor: Cursor) -> Listed:
    """Return the next entry of the list of tensors."""
    name, count = cursor.string(), cursor.scalar("<u4")
    require(name.isprintable(), f"{cursor.file}: the tensor {name!r} holds a character that no name has")
    require(
        1 <= count <= MOST_DIMENSIONS,
        f"{cursor.file}: {name} must have 1 to {MOST_DIMENSIONS} dimensions, got {count}",
    )
    dimensions = tuple(cursor.scalar("<u8") for _ in range(count))
    return Listed(name, dimensions, cursor.scalar("<u4"), cursor.scalar("<u8"))


def placed(file: Path, listed: list[Listed], start: int, size: int) -> dict[str, Stored]:
    """Return the `listed` tensors of `file` by name, whose data go from `start` up to `size`.

    Tensors that overlap are refused, so that what is made of them is bounded by the size of the file.
    """
    tensors: dict[str, Stored] = {}
    end = start
    for entry in sorted(listed, key=lambda entry: entry.offset):
        require(entry.name not in tensors, f"{file}: the tensor {entry.name!r} occurs twice")
        stored = located(file, entry, start)
        require(stored.start >= end, f"{file}: the tensor {entry.name!r} begins within the one before it")
        end = stored.stop
        require(
            end <= size,
            f"{file}: {entry.name} ends at byte {end}, but the file has {size}; it is truncated; fetch it again",
        )
        tensors[entry.name] = stored
    return tensors


def located(file: Path, entry: Listed, start: int) -> Stored:
    """Return where the tensor of `entry` lies in `file`, whose data begin at `start`."""
    known = {kind.value: kind for kind in GGMLQuantizationType}
    require(entry.kind in known, f"{file}: {entry.name} has the unknown type {entry.kind}")
    kind = known[entry.kind]
    block, block_bytes = GGML_QUANT_SIZES[kind]
    width = entry.dimensions[0]
    require(
        width > 0 and width % block == 0,
        f"{file}: {entry.name} is stored as {kind.name}, in blocks of {block}, which {width} is no multiple of",
    )
    elements = 1
    for dimension in entry.dimensions:
        elements *= dimension
    require(elements > 0, f"{file}: {entry.name} is empty")
    first = start + entry.offset
    return Stored(tuple(reversed(entry.dimensions)), kind, first, first + elements // block * block_bytes)
