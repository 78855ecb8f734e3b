"""Files of weights, one or several: hostile headers and indices are refused before a tensor is read."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ctxext.formats.huggingface.reading.folder import HuggingFaceBase
from ctxext.formats.huggingface.reading.shards import read_headers
from ctxext.refusal import Refusal

INDEX = "model.safetensors.index.json"
NORM = "model.norm.weight"


@pytest.fixture
def folder(folder_of: Callable[..., Path]) -> Path:
    """A Llama of transformers in three shards."""
    from transformers import AutoModelForCausalLM

    whole = folder_of("llama")
    model = AutoModelForCausalLM.from_pretrained(whole, dtype=torch.float32)
    shards = whole.with_name("shards")
    model.save_pretrained(shards, max_shard_size="60KB")
    assert len(list(shards.glob("model-*.safetensors"))) == 3
    return shards


def change_index(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads((folder / INDEX).read_text())
    change(content["weight_map"])
    (folder / INDEX).write_text(json.dumps(content))


def shard_of(folder: Path, name: str) -> Path:
    return folder / str(json.loads((folder / INDEX).read_text())["weight_map"][name])


def refusal(folder: Path) -> str:
    with pytest.raises(Refusal) as caught:
        HuggingFaceBase(folder).weights()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_shards_hold_the_same_as_one_file(folder: Path) -> None:
    one, several = (HuggingFaceBase(place).weights() for place in (folder.with_name("model"), folder))
    assert one.keys() == several.keys()
    assert all(torch.equal(one[name], several[name]) for name in one)


def test_one_file_is_taken_where_both_are_there(folder: Path) -> None:
    save_file(load_file(folder.with_name("model") / "model.safetensors"), folder / "model.safetensors")
    assert list(read_headers(folder)) == [folder / "model.safetensors"]


def test_a_missing_shard_is_refused_with_the_file_that_names_it(folder: Path) -> None:
    gone = shard_of(folder, NORM)
    gone.unlink()
    assert refusal(folder) == f"{gone}: no such file, but {folder / INDEX} names it; copy it there too"


def test_a_truncated_shard_is_refused(folder: Path) -> None:
    shard = shard_of(folder, NORM)
    shard.write_bytes(shard.read_bytes()[:-10])
    size = shard.stat().st_size
    rule = f"it should have {size + 10} bytes, and has {size}"
    assert refusal(folder) == f"{shard}: not a whole safetensors file, {rule}; fetch it again"


def test_a_folder_in_place_of_a_file_is_said_to_be_one(folder: Path, tmp_path: Path) -> None:
    shard = shard_of(folder, NORM)
    shard.unlink()
    shard.mkdir()
    assert refusal(folder) == f"{shard}: it is a folder, but {folder / INDEX} names it; copy it there too"
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(Refusal, match=r"model\.safetensors: it is a folder, where the file of weights belongs"):
        read_headers(tmp_path)


@pytest.mark.parametrize("size", [0, 7])
def test_an_empty_file_is_said_to_be_one(tmp_path: Path, size: int) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"a" * size)
    with pytest.raises(Refusal, match=f"not a whole safetensors file, it has {size} bytes; fetch it again"):
        read_headers(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda entry: entry.pop("data_offsets"), "its header doesn't say where model.norm.weight lies"),
        (lambda entry: entry.update(data_offsets=[0, 1.5]), "its header doesn't say where model.norm.weight lies"),
        (lambda entry: entry.update(data_offsets=[5, 3]), "should begin at byte"),
        (lambda entry: entry.update(data_offsets=[0, 128]), "should begin at byte"),
        (lambda entry: entry.update(dtype="F16"), "model.norm.weight must have 64 bytes, as F16 of [32], got 128"),
    ],
)
def test_tensors_lie_side_by_side(change: Callable[[Any], Any], sentence: str, folder_of: Callable[..., Path]) -> None:
    folder = folder_of("llama")
    file = folder / "model.safetensors"
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    change(header[NORM])
    written = json.dumps(header).encode()
    file.write_bytes(len(written).to_bytes(8, "little") + written + content[8 + size :])
    assert sentence in refusal(folder)


def test_a_tensor_that_the_shard_lacks_is_refused(folder: Path) -> None:
    shard = shard_of(folder, NORM)
    tensors = load_file(shard)
    save_file({name: tensor for name, tensor in tensors.items() if name != NORM}, shard)
    assert refusal(folder) == f"{shard}: {NORM} is not in it, but {INDEX} says so"


def test_a_tensor_that_lies_in_two_shards_is_refused(folder: Path) -> None:
    other = next(file for file in sorted(folder.glob("model-*")) if file != shard_of(folder, NORM))
    save_file(load_file(other) | {NORM: torch.zeros(32)}, other)
    assert refusal(folder) == f"{other}: {NORM} is in it, but not where {INDEX} says so"


def test_a_tensor_that_the_index_lacks_is_refused(folder: Path) -> None:
    shard = shard_of(folder, NORM)
    change_index(folder, lambda names: names.pop(NORM))
    assert refusal(folder) == f"{shard}: {NORM} is in it, but not where {INDEX} says so"


@pytest.mark.parametrize(
    "name",
    [
        "../model/model.safetensors",
        "/etc/passwd",
        "..",
        "a/b.safetensors",
        "a\\b.safetensors",
        "model.bin",
        "",
        None,
        3,
    ],
)
def test_a_shard_elsewhere_is_refused_before_it_is_opened(folder: Path, name: Any) -> None:
    change_index(folder, lambda names: names.update({NORM: name}))
    rule = "must be the name of a .safetensors file in the same folder"
    assert refusal(folder) == f"{folder / INDEX}: the shard of {NORM} {rule}, got {name!r}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not an index of shards, it cannot be read as JSON"),
        ("[]", "not an index of shards, it must be a JSON object"),
        ("{}", "weight_map must name the shard of each tensor"),
        ('{"weight_map": []}', "weight_map must name"),
        ('{"weight_map": {"a": "b", "a": "c"}}', "a occurs twice"),
    ],
)
def test_an_index_that_is_none_is_refused(folder: Path, text: str, sentence: str) -> None:
    (folder / INDEX).write_text(text)
    assert refusal(folder).startswith(f"{folder / INDEX}: {sentence}")


def test_two_tensors_of_one_name_in_a_file_are_refused(folder_of: Callable[..., Path]) -> None:
    folder = folder_of("llama")
    file = folder / "model.safetensors"
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + size].rstrip()
    entry = json.dumps({"dtype": "F32", "shape": [32], "data_offsets": [0, 128]})
    header = header[:-1] + f',"{NORM}":{entry}}}'.encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + size :])
    assert refusal(folder) == f"{file}: {NORM} occurs twice"


@pytest.mark.parametrize("size", [2**63, 101_000_000, 10_000])
def test_a_header_beyond_the_file_is_refused_before_it_is_read(tmp_path: Path, size: int) -> None:
    (tmp_path / "model.safetensors").write_bytes(size.to_bytes(8, "little") + b"{}")
    with pytest.raises(Refusal, match=f"its header of {size} bytes is not there"):
        read_headers(tmp_path)


@pytest.mark.parametrize("header", [b"[]", b'{"a": 3}', b'{"a": {}}', b"\xff", b"{"])
def test_a_header_of_something_else_is_refused(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(Refusal, match="not a safetensors file, "):
        read_headers(tmp_path)


def test_of_a_header_only_what_is_read_is_kept_and_all_together_are_bounded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ctxext.formats.huggingface.reading import shards

    file = shard_of(folder, NORM)
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header[NORM]["more"] = ["x"] * 1000
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
    found = read_headers(folder)
    assert found[file][NORM].keys() == {"shape", "dtype", "data_offsets"}

    total = sum(shards.header_size(shard) for shard in found)
    monkeypatch.setattr(shards, "LONGEST_HEADERS", total)
    read_headers(folder)
    monkeypatch.setattr(shards, "LONGEST_HEADERS", total - 1)
    with pytest.raises(
        Refusal, match=rf"index\.json: the headers of all shards .* {total - 1} bytes together, got {total}"
    ):
        read_headers(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "consolidated.00.pth"])
def test_a_pickle_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(Refusal, match=rf"{re.escape(name)}: a pickle, which runs code when it is opened, is not read"):
        read_headers(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"model\.safetensors: no such file, and no model\.safetensors\.index\.json"):
        read_headers(tmp_path)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ([0, 4], "t is empty, its shape is [0, 4]"),
        ([[]], "the shape of t must be at most 8 whole numbers"),
        ([1] * 9, "the shape of t must be at most 8 whole numbers"),
        ([True], "the shape of t must be at most 8 whole numbers"),
    ],
)
def test_a_shape_that_no_tensor_of_a_model_has_is_refused(tmp_path: Path, shape: Any, sentence: str) -> None:
    header = json.dumps({"t": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(Refusal, match=re.escape(sentence)):
        read_headers(tmp_path)


def test_a_header_that_is_all_there_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ctxext.formats.huggingface.reading import shards

    monkeypatch.setattr(shards, "LONGEST_HEADER", 9)
    (tmp_path / "model.safetensors").write_bytes((10).to_bytes(8, "little") + b"{        }")
    with pytest.raises(Refusal, match=r"model\.safetensors: its header must have at most 9 bytes, got 10"):
        read_headers(tmp_path)
