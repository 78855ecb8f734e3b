"""Files of strangers are bounded before they are parsed, and refused by their name."""

import json
from pathlib import Path
from time import perf_counter

import pytest

from ctxext import strangers
from ctxext.refusal import Refusal
from ctxext.strangers import calm_yaml, check_links, content_of, object_in, text_of

FILE = Path("some.json")


def test_a_file_of_the_most_bytes_is_read_and_one_of_a_byte_more_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b"12345")
    assert content_of(file, 5) == b"12345"
    with pytest.raises(Refusal, match=r"a\.json: must have at most 4 bytes, got 5"):
        content_of(file, 4)


@pytest.mark.parametrize("kind", ["absent", "folder", "pipe"])
def test_what_is_no_plain_file_is_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "a.json"
    if kind == "folder":
        file.mkdir()
    if kind == "pipe":
        import os

        os.mkfifo(file)
    with pytest.raises(Refusal, match=r"a\.json: no such file"):
        content_of(file)


def test_a_text_that_is_not_utf8_is_refused_with_its_byte(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ab\xff")
    with pytest.raises(Refusal, match=r"a: not UTF-8 \(invalid start byte at byte 2\)"):
        text_of(tmp_path / "a")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "some.json: c occurs twice"),
        ("[1]", "some.json: must be a JSON object, got list"),
        ("[" * 100_000, r"some.json: cannot be read as JSON"),
        ('{"a": ' + "1" * 5000 + "}", r"some.json: cannot be read as JSON"),
        (b'{"a": "\xff"}', r"some.json: cannot be read as JSON"),
    ],
    ids=range(5),
)
def test_json_that_readers_differ_in_or_die_of_is_refused(content: bytes | str, sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        object_in(content, FILE)


def test_a_key_twice_among_many_is_found_at_once() -> None:
    content = "{" + ",".join(f'"{number}":0' for number in range(400_000)) + ',"399999":0}'
    start = perf_counter()
    with pytest.raises(Refusal, match=r"some\.json: 399999 occurs twice"):
        object_in(content, FILE)
    assert perf_counter() - start < 5


def test_other_json_is_what_the_library_makes_of_it() -> None:
    text = '{"a": {"b": [1, 2.5, null, true, "é"]}, "b": {}}'
    assert object_in(text, FILE) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: &a [x, x]\nb: [*a, *a]\n", r"may not refer to parts of itself, got \*a"),
        ("[" * 60 + "]" * 60, "50 levels deep at most"),
        ("a: " + "x" * strangers.LARGEST_YAML, "must have at most"),
        ("a: [1", "can't be read as YAML"),
    ],
)
def test_yaml_that_may_grow_without_end_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(Refusal, match=rf"^some\.json: .*{sentence}"):
        calm_yaml(text, FILE)


def test_other_yaml_comes_back_as_it_is() -> None:
    text = "a:\n  b: [1, 2e-3, '*c']\n  c: ${d}\n"
    assert calm_yaml(text, FILE) is text


def test_a_link_out_of_the_folder_is_refused_and_one_within_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "own.json").write_text("{}")
    (folder / "config.json").symlink_to("own.json")
    (folder / "notes.txt").symlink_to("../secret.json")  # it is not read
    check_links(folder, ("*.json",))
    (folder / "tokenizer.json").symlink_to("../secret.json")
    with pytest.raises(Refusal, match=r"model/tokenizer\.json: links out of its folder are not followed, got .*secret"):
        check_links(folder, ("*.safetensors", "*.json"))


def test_the_hubs_cache_may_link_from_a_snapshot_to_its_own_blobs_alone(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--a--b" / "snapshots" / "1234"
    blobs = tmp_path / "models--a--b" / "blobs"
    for folder in (snapshot, blobs, tmp_path / "models--a--c"):
        folder.mkdir(parents=True)
    (blobs / "5678").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/5678")
    check_links(snapshot, ("*.json",))
    (tmp_path / "models--a--c" / "x").write_text("{}")
    (snapshot / "other.json").symlink_to("../../../models--a--c/x")
    with pytest.raises(Refusal, match=r"other\.json: links out of its folder"):
        check_links(snapshot, ("*.json",))
