"""Dirty text: what is planted is what is counted, by reason; nothing dirty is kept or dropped without a word."""

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from scale import times

from ctxext.commands.conclusion import facts
from ctxext.config.schema import Run
from ctxext.data.files import Jsonl, Text
from ctxext.data.prepare import Prepared, prepare
from ctxext.data.tokenizer import END, end_token
from ctxext.refusal import Refusal

LONGEST = 250_000
REFUSED, REPAIRED, DROPPED, TOLD = "refused", "repaired", "dropped", "told"
"""What the modes do: refuse it, or repair it where they may; repair it in every mode; drop it in every mode; tell."""


@dataclass(frozen=True)
class Dirt:
    """A class of dirt: the reason it is counted under, what becomes of it, and a line that has it, of a text."""

    reason: str
    fate: str
    line: Callable[[str], bytes]
    is_repairable: bool = False


def row(text: object) -> bytes:
    """Return the JSON line of `text`."""
    return json.dumps({"text": text}).encode()


CLASSES = {
    "byte-order mark": Dirt("byte-order mark", REPAIRED, lambda text: row("\ufeff" + text)),
    "CRLF": Dirt("CRLF", REPAIRED, lambda text: row(text.replace(" ", "\r\n"))),
    "control characters": Dirt("control characters", REPAIRED, lambda text: row(f"{text}\x1b[0m")),
    "control tokens": Dirt("control tokens", TOLD, lambda text: row(f"{text} {END} {text[::-1]}")),
    "NUL": Dirt("NUL", REFUSED, lambda text: row(f"{text}\0"), True),
    "not UTF-8": Dirt("not UTF-8", REFUSED, lambda text: b'{"text": "caf\xe9 %s"}' % text.encode(), True),
    "lone surrogate": Dirt("lone surrogate", REFUSED, lambda text: row(text + "\ud800"), True),
    "empty": Dirt("field 'text' is empty", REFUSED, lambda text: row("")),
    "white space": Dirt("field 'text' is white space only", REFUSED, lambda text: row(" \t\n")),
    "too long": Dirt(f"longer than dataset.longest_line={LONGEST}", REFUSED, lambda text: row(text * 2000)),
    "null": Dirt("field 'text' is null", REFUSED, lambda text: row(None)),
    "number": Dirt("field 'text' is a whole number, not a text", REFUSED, lambda text: row(7)),
    "list": Dirt("field 'text' is a list, not a text", REFUSED, lambda text: row([text])),
    "missing key": Dirt("missing field 'text'", REFUSED, lambda text: b'{"body": "x"}'),
    "no object": Dirt("not a JSON object", REFUSED, lambda text: b'["x"]'),
    "broken": Dirt("broken JSON", REFUSED, lambda text: b'{"text" "x"}'),
    "too deep": Dirt("JSON beyond limits", REFUSED, lambda text: b'{"text": ' + b"[" * 200_000),
    "duplicate": Dirt("exact duplicate", DROPPED, lambda text: row(GOOD[0])),
}
DRAW = random.Random(0)


def prose(words: int = 30) -> str:
    """Return a text like no other."""
    return " ".join("".join(DRAW.choices("abcdefghijklmnop", k=7)) for _ in range(words))


GOOD = [prose() for _ in range(30)]


def planted(folder: Path, seed: int, names: list[str]) -> tuple[str, Counter[str]]:
    """Return a file in `folder` with the classes `names`, each some times among good lines, and how often each."""
    draw = random.Random(seed)
    counts = Counter({name: draw.randrange(1, 5) for name in names})
    dirty = [CLASSES[name].line(prose()) for name in names for _ in range(counts[name])]
    lines = [*map(row, GOOD[1:]), *dirty]
    draw.shuffle(lines)
    file = folder / "dirty.jsonl"
    file.write_bytes(b"\n".join([row(GOOD[0]), *lines]) + b'\n{"text": "half of a li')
    return str(file), counts


def outcomes(data: Prepared) -> dict[str, int]:
    """Return how many documents had each outcome but those of every text."""
    return {row.outcome: row.documents for row in data.ledger if ":" in row.outcome and "kept" not in row.outcome}


@pytest.mark.parametrize("seed", range(times(2, 20)))
def test_every_class_is_counted_as_often_as_it_was_planted(
    tmp_path: Path, built: Callable[..., Run], seed: int
) -> None:
    path, counts = planted(tmp_path, seed, list(CLASSES))
    source = Jsonl(path=path, errors="skip", longest_line=LONGEST)
    data = prepare(source, None, 300, tmp_path)

    words = {REFUSED: "dropped", DROPPED: "dropped", REPAIRED: "repaired", TOLD: "as text"}
    expected = {f"{words[CLASSES[name].fate]}: {CLASSES[name].reason}": count for name, count in counts.items()}
    expected["dropped: cut last line"] = 1
    assert outcomes(data) == expected

    run = built("base=none", "dataset=sotu")
    told = facts(run, "train", data)["data"]["documents"]
    assert {key: told[key] for key in expected} == expected
    read = sum(counts.values()) + len(GOOD) + 1
    assert told["read"] == read

    quarantine = [
        json.loads(line) for line in next(tmp_path.glob("tokens/*/quarantine.jsonl")).read_text().splitlines()
    ]
    assert Counter(f"{entry['outcome']}: {entry['reason']}" for entry in quarantine) == expected
    lines = Path(path).read_bytes().split(b"\n")
    for entry in quarantine:
        assert entry["where"].startswith(f"{path}:")
        if entry["outcome"] == "dropped" and "duplicate" not in entry["reason"] and "\\" not in entry["content"]:
            number = int(entry["where"].removeprefix(f"{path}:").split(":")[0])
            assert entry["content"][:20].encode() in lines[number - 1] + b"\n"


@pytest.mark.parametrize("name", [name for name, dirt in CLASSES.items() if dirt.fate == REFUSED])
def test_strict_refuses_what_is_wrong_with_file_and_line(tmp_path: Path, name: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\n".join([row(GOOD[0]), CLASSES[name].line(prose()), row(GOOD[1])]) + b"\n")
    with pytest.raises(Refusal) as refusal:
        prepare(Jsonl(path=str(file), longest_line=LONGEST), None, 300, tmp_path)
    assert str(refusal.value).startswith(f"{file}:2")
    assert CLASSES[name].reason in str(refusal.value)
    assert "dataset.errors=skip" in str(refusal.value)
    assert ("replace repairs it" in str(refusal.value)) == CLASSES[name].is_repairable


def test_replace_repairs_what_has_one_meaning_and_counts_it_as_repaired(tmp_path: Path) -> None:
    names = [name for name, dirt in CLASSES.items() if dirt.is_repairable or dirt.fate == REPAIRED]
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\n".join([*map(row, GOOD), *(CLASSES[name].line(prose()) for name in names)]) + b"\n")
    data = prepare(Jsonl(path=str(file), errors="replace", test_share=0, validation_share=0), None, 300, tmp_path)
    assert outcomes(data) == {f"repaired: {CLASSES[name].reason}": 1 for name in names}
    assert len(data.train) == len(GOOD) + len(names)
    texts = [data.tokenizer.decode(data.train.document(number).tolist()) for number in range(len(data.train))]
    assert not [text for text in texts if any(letter in text for letter in "\0\r\ufeff\x1b")]
    assert sum("\ufffd" in text for text in texts) == 2


@pytest.mark.parametrize("errors", ["strict", "skip", "replace"])
def test_what_means_one_thing_in_any_text_is_repaired_and_counted_in_every_mode(tmp_path: Path, errors: str) -> None:
    for number, text in enumerate(GOOD):
        ends = "\r\n" if number < 7 else "\n"
        mark = b"\xef\xbb\xbf" if number < 4 else b""
        (tmp_path / f"{number}.txt").write_bytes(mark + text.replace(" ", ends).encode())
    data = prepare(Text(path=str(tmp_path / "*.txt"), errors=errors), None, 300, tmp_path)
    assert outcomes(data) == {"repaired: CRLF": 7, "repaired: byte-order mark": 4}


def test_a_control_token_in_a_text_is_read_as_its_letters(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\n".join(row(f"{text} {END}") for text in GOOD) + b"\n")
    data = prepare(Jsonl(path=str(file), test_share=0, validation_share=0), None, 300, tmp_path)
    for number in range(len(GOOD)):
        assert data.train.document(number).tolist().count(end_token(data.tokenizer)) == 1
    assert outcomes(data) == {"as text: control tokens": len(GOOD)}


def test_an_empty_file_and_one_of_white_space_are_told_apart(tmp_path: Path) -> None:
    for number, text in enumerate([*GOOD, "", " \n"]):
        (tmp_path / f"{number}.txt").write_text(text)
    data = prepare(Text(path=str(tmp_path / "*.txt"), errors="skip"), None, 300, tmp_path)
    assert outcomes(data) == {"dropped: empty file": 1, "dropped: white space only": 1}


def test_there_are_at_least_twelve_classes() -> None:
    assert len(CLASSES) >= 12
