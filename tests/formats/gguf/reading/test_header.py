"""Headers of GGUF files: read as gguf reads them, and refused before anything is made of what can't be."""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest

from ctxext.formats.gguf.reading import header
from ctxext.formats.gguf.reading.header import read_header
from ctxext.refusal import Refusal

HUGE = 2**62


def text(words: str) -> bytes:
    return struct.pack("<Q", len(words)) + words.encode()


def key(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def tensor(name: str, *dimensions: int, kind: int = 0, offset: int = 0) -> bytes:
    shape = struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
    return text(name) + shape + struct.pack("<IQ", kind, offset)


def contents(
    *keys: bytes, tensors: tuple[bytes, ...] = (), data: bytes = bytes(256), version: int = 3, magic: bytes = b"GGUF"
) -> bytes:
    start = magic + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys) + b"".join(tensors)
    return start + bytes(-len(start) % 32) + data


def refusal_of(folder: Path, content: bytes) -> str:
    file = folder / "m.gguf"
    file.write_bytes(content)
    with pytest.raises(Refusal) as refusal:
        read_header(file)
    assert str(refusal.value).startswith(f"{file}: ")
    assert "\n" not in str(refusal.value)
    return str(refusal.value).removeprefix(f"{file}: ")


@pytest.fixture
def file(tmp_path: Path, transformers_model: Callable[..., Any], gguf_of: Callable[..., Path]) -> Path:
    return gguf_of(tmp_path / "m.gguf", transformers_model("llama"), "llama", "Q8_0")


def test_keys_and_tensors_are_those_that_gguf_reads(file: Path) -> None:
    ours, theirs = read_header(file), gguf.GGUFReader(file)

    fields = {name: field.contents() for name, field in theirs.fields.items() if not name.startswith("GGUF.")}
    assert ours.values == fields
    assert list(ours.tensors) == [entry.name for entry in theirs.tensors]
    for entry in theirs.tensors:
        stored = ours.tensors[entry.name]
        assert stored.shape == tuple(reversed(entry.shape.tolist()))
        assert (stored.kind, stored.start, stored.stop) == (
            entry.tensor_type,
            entry.data_offset,
            entry.data_offset + entry.n_bytes,
        )


def test_each_type_of_a_value_is_read(tmp_path: Path) -> None:
    kinds = {0: ("B", 200), 1: ("b", -3), 2: ("H", 60000), 3: ("h", -7), 4: ("I", 2**31), 5: ("i", -9)}
    kinds |= {6: ("f", 0.5), 7: ("?", True), 10: ("Q", 2**63), 11: ("q", -(2**40)), 12: ("d", 0.1)}
    keys = [key(f"k{kind}", kind, struct.pack(f"<{code}", value)) for kind, (code, value) in kinds.items()]
    file = tmp_path / "m.gguf"
    file.write_bytes(contents(*keys, key("flags", 9, struct.pack("<IQ??", 7, 2, True, False))))

    values = read_header(file).values

    assert values == {f"k{kind}": value for kind, (_, value) in kinds.items()} | {"flags": [True, False]}


def test_a_header_is_read_once_until_its_file_changes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_header(file)
    assert read_header(file) is first

    content = file.read_bytes().replace(b"llama.vocab_size", b"llama.vocab_sizf")
    file.write_bytes(content)
    os.utime(file, ns=(1, 1))

    assert "llama.vocab_sizf" in read_header(file).values


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"GGUF", "not a GGUF file, it has 4 bytes"),
        (contents(magic=b"GGML"), "not a GGUF file, it begins with b'GGML' and not with b'GGUF'"),
        (contents(version=1), "the version of GGUF must be 2 or 3, got 1"),
        (contents(version=4), "the version of GGUF must be 2 or 3, got 4"),
        (contents(version=3 << 24), "a big-endian GGUF file; only little-endian is read"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, HUGE) + bytes(64), "it names 4611686018427387904 keys"),
        (b"GGUF" + struct.pack("<IQQ", 3, HUGE, 0) + bytes(64), "it names 4611686018427387904 tensors"),
        (contents(struct.pack("<Q", HUGE) + b"name"), "the file ends within its header"),
        (contents(key("k", 8, struct.pack("<Q", HUGE))), "the file ends within its header"),
        (contents(key("k", 9, struct.pack("<IQ", 4, HUGE))), "it names 4611686018427387904 numbers in k"),
        (contents(key("k", 9, struct.pack("<IQ", 8, HUGE))), "it names 4611686018427387904 texts in k"),
        (contents(key("k", 9, struct.pack("<IQ", 9, 1))), "k has the unknown type 9"),
        (contents(key("k", 13, b"0")), "k has the unknown type 13"),
        (contents(key("k", 8, struct.pack("<Q", 2) + b"\xff\xfe")), "is not UTF-8"),
        (contents(*[key("k", 0, b"0")] * 2), "the key 'k' occurs twice"),
        (contents(key("k\x1b", 0, b"0")), "holds a character that no name has"),
        (contents(tensors=(tensor("t\n", 8),)), "holds a character that no name has"),
        (
            contents(key("general.alignment", 4, struct.pack("<I", 33))),
            "general.alignment must be a power of two, got 33",
        ),
        (contents(key("general.alignment", 8, text("x"))), "general.alignment must be a power of two, got 'x'"),
        (contents(tensors=(tensor("t", 8), tensor("t", 8, offset=32))), "the tensor 't' occurs twice"),
        (contents(tensors=(tensor("t", 8), tensor("u", 8, offset=16))), "the tensor 'u' begins within the one before"),
        (contents(tensors=(tensor("t", 8, offset=HUGE),)), "it is truncated"),
        (contents(tensors=(tensor("t", 2**40, 2**40),)), "it is truncated"),
        (contents(tensors=(tensor("t", 65),)), "t ends at byte 324, but the file has 320; it is truncated"),
        (contents(tensors=(tensor("t", 8, kind=77),)), "t has the unknown type 77"),
        (
            contents(tensors=(tensor("t", 40, kind=3),)),
            "t is stored as Q4_1, in blocks of 32, which 40 is no multiple of",
        ),
        (contents(tensors=(tensor("t", 8, 0),)), "t is empty"),
        (contents(tensors=(tensor("t"),)), "t must have 1 to 4 dimensions, got 0"),
        (contents(tensors=(tensor("t", 1, 1, 1, 1, 1),)), "t must have 1 to 4 dimensions, got 5"),
    ],
)
def test_a_bad_file_is_refused_in_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    assert sentence in refusal_of(tmp_path, content)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path, file: Path) -> None:
    content = file.read_bytes()
    end = max(stored.stop for stored in read_header(file).tensors.values())
    for size in [*range(0, 4000, 37), end // 2, end - 1]:
        refusal_of(tmp_path / ".." / tmp_path.name, content[:size])


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"none\.gguf: cannot be read \(No such file or directory\)"):
        read_header(tmp_path / "none.gguf")


def test_a_text_and_a_header_are_bounded_even_where_a_file_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = contents(key("k", 8, text("x" * 99)))
    monkeypatch.setattr(header, "LONGEST_TEXT", 98)
    assert "a text must have at most 98 bytes, got 99" in refusal_of(tmp_path, words)
    monkeypatch.setattr(header, "LONGEST_TEXT", 99)
    monkeypatch.setattr(header, "LONGEST_HEADER", 100)
    assert "its header has over 100 bytes" in refusal_of(tmp_path, words)


def test_all_lists_share_one_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = [key(name, 9, struct.pack("<IQ", 8, 2) + text("") * 2) for name in "ab"]
    monkeypatch.setattr(header, "MOST_ENTRIES", 5)  # two keys, and three of the four texts
    assert "it names 2 texts in b, and has room for 1 at most" in refusal_of(tmp_path, contents(*two))
    monkeypatch.setattr(header, "MOST_ENTRIES", 6)
    (tmp_path / "m.gguf").write_bytes(contents(*two))
    assert read_header(tmp_path / "m.gguf").values == {"a": ["", ""], "b": ["", ""]}


def test_counts_are_bounded_even_where_a_file_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "MOST_ENTRIES", 2)  # the key itself is one
    two = contents(key("k", 9, struct.pack("<IQ", 8, 2) + text("") * 2))
    assert "it names 2 texts in k, and has room for 1 at most" in refusal_of(tmp_path, two)
