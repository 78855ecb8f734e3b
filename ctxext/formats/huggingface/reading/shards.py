"""The safetensors files of a Hugging Face folder, one or several: what their headers say, before a tensor is read."""

import math
from pathlib import Path
from typing import Any

from ctxext.formats.kept import kept
from ctxext.refusal import Refusal, require
from ctxext.strangers import content_of, object_in

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
FLOATS = {"F16": 2, "BF16": 2, "F32": 4}
"""The kinds of numbers that are read, with the bytes of each."""
MOST_DIMENSIONS = 8
LONGEST_HEADERS = 1 << 25
"""The bytes of the headers of all shards together: those of the largest models have 12 million."""
LONGEST_HEADER = 1 << 24
"""The bytes of a header: of 100,000 tensors it has fewer, and what it may become in memory is 30 times that."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
KEPT = ("shape", "dtype", "data_offsets")
Entries = dict[str, dict[str, Any]]
"""What a header says of each tensor, by name: `shape`, `dtype`, `data_offsets`."""


def read_headers(folder: Path) -> dict[Path, Entries]:
    """Return the headers of the files that hold the weights in `folder`; refuse files that are absent or no such."""
    file, index = folder / WEIGHTS, folder / INDEX
    require(not file.is_dir(), f"{file}: it is a folder, where the file of weights belongs")
    if file.is_file():
        return {file: read_header(file)}
    if not index.is_file():
        raise Refusal(without_weights(folder))
    by_shard = read_index(index)
    found, size = {}, 0
    for name in by_shard:
        shard = folder / name
        absent = "it is a folder" if shard.is_dir() else "no such file"
        require(shard.is_file(), f"{shard}: {absent}, but {index} names it; copy it there too")
        size += header_size(shard)
        rule = f"the headers of all shards must have at most {LONGEST_HEADERS} bytes together"
        require(size <= LONGEST_HEADERS, f"{index}: {rule}, got {size} up to {name}")
    for name, wanted in by_shard.items():
        shard = folder / name
        entries = read_header(shard)
        for tensor in sorted(entries.keys() ^ wanted):
            where = "is not in it, but" if tensor in wanted else "is in it, but not where"
            raise Refusal(f"{shard}: {tensor} {where} {INDEX} says so")
        found[shard] = entries
    return found


def without_weights(folder: Path) -> str:
    """Return why `folder`, which has no safetensors files, can't be read."""
    pickles = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
    if not pickles:
        return f"{folder / WEIGHTS}: no such file, and no {INDEX} either"
    convert = "save_pretrained of transformers writes safetensors"
    return f"{folder / pickles[0]}: a pickle, which runs code when it is opened, is not read; {convert}"


def read_index(file: Path) -> dict[str, set[str]]:
    """Return the names of the tensors in each shard that the index `file` names."""
    content = object_in(content_of(file), file, "not an index of shards")
    names = content.get("weight_map")
    require(isinstance(names, dict) and bool(names), f"{file}: weight_map must name the shard of each tensor")
    assert isinstance(names, dict)
    by_shard: dict[str, set[str]] = {}
    for tensor, shard in names.items():
        is_plain = isinstance(shard, str) and shard == Path(shard).name and shard.endswith(".safetensors")
        rule = "must be the name of a .safetensors file in the same folder"
        require(is_plain and "\\" not in shard, f"{file}: the shard of {tensor} {rule}, got {shard!r}")
        by_shard.setdefault(shard, set()).add(tensor)
    return by_shard


@kept
def read_header(file: Path) -> Entries:
    """Return the header of the safetensors `file`; of two tensors of one name its library takes one in silence."""
    size = header_size(file)
    with file.open("rb") as opened:
        opened.seek(8)
        content = opened.read(size)
    header = object_in(content, file, "not a safetensors file")
    header.pop("__metadata__", None)
    for name, entry in header.items():
        require(name.isprintable(), f"{file}: the tensor {name!r} holds a character that no name has")
        fits = isinstance(entry, dict) and isinstance(entry.get("shape"), list)
        require(fits, f"{file}: not a safetensors file, its header has no shape for {name}")
        is_short = len(entry["shape"]) <= MOST_DIMENSIONS and all(type(size) is int for size in entry["shape"])
        require(is_short, f"{file}: the shape of {name} must be at most {MOST_DIMENSIONS} whole numbers")
        require(0 not in entry["shape"], f"{file}: {name} is empty, its shape is {entry['shape']}")
        dtype = entry.get("dtype")
        require(dtype is None or isinstance(dtype, str), f"{file}: the dtype of {name} must be a text")
    entries = {name: {key: entry.get(key) for key in KEPT} for name, entry in header.items()}
    check_size(file, entries, 8 + size, file.stat().st_size)
    return entries


def header_size(file: Path) -> int:
    """Return how many bytes the header of the safetensors `file` has; refuse one that is not there, or too long."""
    total = file.stat().st_size
    require(total > 8, f"{file}: not a whole safetensors file, it has {total} bytes; fetch it again")
    with file.open("rb") as opened:
        size = int.from_bytes(opened.read(8), "little")
    rule = f"{file}: not a whole safetensors file, its header of {size} bytes is not there"
    require(size <= total - 8, f"{rule}; fetch it again")
    require(size <= LONGEST_HEADER, f"{file}: its header must have at most {LONGEST_HEADER} bytes, got {size}")
    return size


def check_size(file: Path, entries: Entries, start: int, total: int) -> None:
    """Refuse `file` of `total` bytes unless its tensors, behind byte `start`, lie in it side by side up to its end."""
    end = 0
    spans: dict[str, Any] = {name: entry.get("data_offsets") for name, entry in entries.items()}
    for name, span in spans.items():
        fits = isinstance(span, list) and len(span) == 2 and all(type(place) is int for place in span)
        require(fits, f"{file}: not a safetensors file, its header doesn't say where {name} lies")
    for name, (first, last) in sorted(spans.items(), key=lambda item: item[1]):
        rule = f"{file}: not a safetensors file, {name} should begin at byte {end} of the tensors"
        require(first == end <= last, f"{rule}, got {first} to {last}")
        end = last
    rule = f"{file}: not a whole safetensors file, it should have {start + end} bytes, and has {total}"
    require(start + end == total, f"{rule}; fetch it again")


def check_entries(headers: dict[Path, Entries], wanted: dict[str, tuple[int, ...]]) -> None:
    """Refuse `headers` unless their names and shapes are exactly those `wanted`, and all are floats."""
    found = {name: (file, entry) for file, entries in headers.items() for name, entry in entries.items()}
    some = next(iter(headers))
    files = some if len(headers) == 1 else some.parent / INDEX
    for name in sorted(wanted.keys() ^ found.keys()):
        where = "is missing" if name in wanted else "is in no part of the model that config.json describes"
        raise Refusal(f"{files}: {name} {where}")
    for name, (file, entry) in found.items():
        shape, dtype = list(wanted[name]), entry.get("dtype")
        rule = f"{file}: {name} has the shape {entry['shape']}, not {shape} as config.json says"
        require(entry["shape"] == shape, rule)
        require(dtype in FLOATS, f"{file}: {name} must be one of {', '.join(FLOATS)}, got {dtype}")
        (first, last), size = entry["data_offsets"], math.prod(shape) * FLOATS[str(dtype)]
        require(
            last - first == size, f"{file}: {name} must have {size} bytes, as {dtype} of {shape}, got {last - first}"
        )
