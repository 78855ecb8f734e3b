"""A user's files: what is found at a path, and what each kind of bad input gets."""

import json
from pathlib import Path

import pytest

from ctxext.data.documents import Defect, Document
from ctxext.data.files import Jsonl, Text, found
from ctxext.refusal import Refusal

BAD_LINES = [
    (b'{"text": "cut', "broken JSON"),
    (b'{"text": "\xff"}', "not UTF-8"),
    (b'{"text": null}', "field 'text' is null"),
    (b'{"text": 7}', "field 'text' is a whole number, not a text"),
    (b'{"text": ["a"]}', "field 'text' is a list, not a text"),
    (b'{"text": ""}', "field 'text' is empty"),
    (b'{"text": " "}', "field 'text' is white space only"),
    (b'{"body": "a"}', "missing field 'text'"),
    (b'["a"]', "not a JSON object"),
    (b'{"text": ' + b"[" * 100_000, "JSON beyond limits"),
    (b'{"text": "a", "n": ' + b"1" * 5000 + b"}", "JSON beyond limits"),
]


def test_files_folders_globs_and_lists_are_found_once_each_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "inner/c.txt", ".hidden/d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "inner" / "link.txt").symlink_to(tmp_path / "a.txt")
    (tmp_path / "inner" / "back").symlink_to(tmp_path)

    def names(path: str | list[str]) -> list[str]:
        return [file.relative_to(tmp_path).as_posix() for file in found(path)]

    assert names(str(tmp_path)) == ["a.txt", "b.txt", "inner/c.txt"]
    assert names(str(tmp_path / "*.txt")) == ["a.txt", "b.txt"]
    assert names(str(tmp_path / "**" / "c.txt")) == ["inner/c.txt"]
    assert names([str(tmp_path / "b.txt"), str(tmp_path), str(tmp_path / "b.txt")]) == ["b.txt", "a.txt", "inner/c.txt"]


@pytest.mark.parametrize("errors", ["strict", "skip"])
def test_a_path_with_nothing_is_always_refused(tmp_path: Path, errors: str) -> None:
    (tmp_path / "folder").mkdir()
    for name, sentence in (("no.txt", "does not exist"), ("*.no", "matches no file"), ("folder", "holds no file")):
        with pytest.raises(Refusal, match=sentence):
            list(Text(path=str(tmp_path / name), errors=errors).documents())
        with pytest.raises(Refusal, match=sentence):
            list(Jsonl(path=[str(tmp_path / name)], errors=errors).documents())
    with pytest.raises(Refusal, match=r"dataset.path is empty"):
        list(Text(path="", errors=errors).documents())


def test_a_text_file_is_read_as_it_stands(tmp_path: Path) -> None:
    content = "Ünï\r\n  cödé\t日本語 🙂\n"
    (tmp_path / "a.txt").write_bytes(content.encode())
    assert list(Text(path=str(tmp_path / "a.txt")).documents()) == [Document(str(tmp_path / "a.txt"), content)]


def test_a_text_file_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"one\ntwo\nthree \xe9\n")
    with pytest.raises(Refusal, match=r"a\.txt:3: not UTF-8 \(dataset.errors=skip"):
        list(Text(path=str(file)).documents())
    assert list(Text(path=str(file), errors="skip").documents()) == [Defect(f"{file}:3", "not UTF-8", 16)]


def test_an_empty_file_is_refused_or_counted(tmp_path: Path) -> None:
    for source in (Text, Jsonl):
        file = tmp_path / "a"
        file.write_bytes(b" \n")
        with pytest.raises(Refusal, match=r"a: white space only"):
            list(source(path=str(file)).documents())
        assert list(source(path=str(file), errors="skip").documents()) == [Defect(str(file), "white space only", 2)]
        file.write_bytes(b"")
        assert list(source(path=str(file), errors="skip").documents()) == [Defect(str(file), "empty file", 0)]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES, ids=[f"{reason} {len(line)}" for line, reason in BAD_LINES])
def test_a_bad_line_is_refused_with_file_and_line_or_counted(tmp_path: Path, line: bytes, reason: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"text": "first"}\n\n' + line + b'\n{"text": "last"}')
    with pytest.raises(Refusal, match=rf"a\.jsonl:3.*{reason}.*dataset.errors=skip"):
        list(Jsonl(path=str(file)).documents())
    first, defect, last = Jsonl(path=str(file), errors="skip").documents()
    assert isinstance(defect, Defect)
    assert defect.where.startswith(f"{file}:3")
    assert (defect.reason, defect.size) == (reason, len(line) + 1)
    assert (first, last) == (Document(f"{file}:1", "first"), Document(f"{file}:4", "last"))


def test_a_byte_order_mark_hides_no_first_line(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"text": "a"}\n')
    assert list(Jsonl(path=str(file)).documents()) == [Document(f"{file}:1", "a", flaws=("byte-order mark",))]


def test_pairs_and_plain_texts_may_stand_in_one_file(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    rows = [{"q": "two and two", "a": "four"}, {"text": "plain"}, {"q": "no answer"}]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    source = Jsonl(path=str(file), input_field="q", target_field="a", errors="skip")
    pair, plain, defect = source.documents()
    assert pair == Document(f"{file}:1", "two and two", "four")
    assert plain == Document(f"{file}:2", "plain")
    assert isinstance(defect, Defect)
    assert defect.reason == "missing field 'a'"


def test_a_path_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(Refusal, match=r"dataset.path must be a text or a list, each a text, got 3"):
        Text(path=3)  # type: ignore[arg-type]


def test_a_last_line_that_is_cut_is_told_from_a_broken_one(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    for last, reason in (
        (b'{"text": "half a', "cut last line"),
        (b'{"text": ', "cut last line"),
        (b"{]", "broken JSON"),
    ):
        file.write_bytes(b'{"text": "whole"}\n' + last)
        *_, defect = Jsonl(path=str(file), errors="skip").documents()
        assert isinstance(defect, Defect)
        assert (defect.reason, defect.content) == (reason, last.decode())


def test_a_line_over_the_limit_is_bad_input_and_no_more_of_it_is_read_at_once(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    lines = [b'{"text": "' + b"x" * size + b'"}' for size in (20, 88, 89, 5000, 20)]
    file.write_bytes(b"\n".join(lines))
    found = list(Jsonl(path=str(file), errors="skip", longest_line=101, near_duplicates=1).documents())
    assert [type(item).__name__ for item in found] == ["Document", "Document", "Defect", "Defect", "Document"]
    assert [item.size for item in found if isinstance(item, Defect)] == [102, 5013]
    with pytest.raises(Refusal, match=r"a\.jsonl:3: longer than dataset\.longest_line=101 \("):
        list(Jsonl(path=str(file), longest_line=101).documents())


def test_replace_repairs_what_has_one_meaning_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"text": "caf\xe9"}\n{"text": "a\\u0000b"}\n{"text": "a\\ud800b"}\n')
    found = list(Jsonl(path=str(file), errors="replace").documents())
    assert [item.text for item in found if isinstance(item, Document)] == ["caf\ufffd", "a\x00b", "a\ud800b"]
    assert isinstance(found[0], Document)
    assert found[0].flaws == ("not UTF-8",)
    plain = tmp_path / "a.txt"
    plain.write_bytes(b"one\ntwo \xe9\n")
    assert list(Text(path=str(plain), errors="replace").documents()) == [
        Document(str(plain), "one\ntwo \ufffd\n", flaws=("not UTF-8",))
    ]


@pytest.mark.parametrize("bad", [b'{"text": null}', b'{"text": "cut', b"[]"])
def test_replace_refuses_what_it_cannot_repair(tmp_path: Path, bad: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(bad)
    with pytest.raises(Refusal, match=r"a\.jsonl:1.* \(dataset\.errors=skip drops and counts what can't be read\)"):
        list(Jsonl(path=str(tmp_path / "a.jsonl"), errors="replace").documents())


@pytest.mark.parametrize(("damaged", "reason"), [("a\\u0000b", "NUL"), ("a\\ud800b", "lone surrogate")])
def test_a_damaged_text_is_refused_with_its_line_and_what_repairs_it(tmp_path: Path, damaged: str, reason: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"text": "a"}}\n{{"text": "{damaged}"}}\n')
    with pytest.raises(Refusal, match=rf"a\.jsonl:2: {reason} \(dataset\.errors=skip .*, replace repairs it\)"):
        list(Jsonl(path=str(tmp_path / "a.jsonl")).documents())
    _, defect = Jsonl(path=str(tmp_path / "a.jsonl"), errors="skip").documents()
    assert isinstance(defect, Defect)
    assert (defect.where, defect.reason) == (f"{tmp_path / 'a.jsonl'}:2", reason)


def test_a_file_in_utf16_is_never_repaired_into_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text", encoding="utf-16")
    with pytest.raises(Refusal, match=r"a\.txt:1: not UTF-8 but UTF-16, by its first bytes; save it as UTF-8"):
        list(Text(path=str(tmp_path / "a.txt"), errors="replace").documents())


def test_damage_in_a_text_file_is_refused_with_its_line_and_what_repairs_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\nth\x00ree\n")
    with pytest.raises(Refusal, match=r"a\.txt:3: NUL \(dataset\.errors=skip .*, replace repairs it\)"):
        list(Text(path=str(tmp_path / "a.txt")).documents())
