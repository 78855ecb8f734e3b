"""The data stage loses nothing in silence, shares nothing between its parts, and does its work once."""

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from ctxext.data import prepare as prepare_module
from ctxext.data.deduplication import shingles
from ctxext.data.documents import Document
from ctxext.data.files import Jsonl, Text
from ctxext.data.prepare import Prepared, ingredients, prepare
from ctxext.data.tokenizer import END, train_tokenizer
from ctxext.refusal import Refusal

Item = TypeVar("Item")
VOCABULARY = 270
PARTS = ("train", "validation", "test")


def prose(seed: int, count: int = 40) -> str:
    """Return `count` words drawn from `seed`."""
    draw = random.Random(seed)
    return " ".join(f"w{draw.randrange(900)}" for _ in range(count))


def write_lines(path: Path, lines: Iterable[bytes]) -> str:
    """Write `lines` to `path` and return it."""
    path.write_bytes(b"\n".join(lines))
    return str(path)


def line(text: str) -> bytes:
    """Return the JSON line of a document."""
    return json.dumps({"text": text}).encode()


def names(prepared: Prepared) -> list[set[str]]:
    """Return the names of the documents in each part."""
    return [set(getattr(prepared, part).names) for part in PARTS]


@dataclass(frozen=True)
class Dirt:
    """A kind of dirt: a line that carries it, and the reason it is dropped for."""

    line: bytes
    reason: str


DIRT = [
    Dirt(b'{"text": "cut', "broken JSON"),
    Dirt(b'{"text": "\xff"}', "not UTF-8"),
    Dirt(b'{"text": null}', "field 'text' is null"),
    Dirt(b'{"text": 7}', "field 'text' is a whole number, not a text"),
    Dirt(b"{}", "missing field 'text'"),
    Dirt(b"[]", "not a JSON object"),
    Dirt(b'{"text": ""}', "field 'text' is empty"),
    Dirt(b'{"text": "\\u0000"}', "NUL"),
    Dirt(line("\ufeff" + prose(0)), "exact duplicate"),
    Dirt(line(prose(1, 80) + " and another end"), "near-duplicate"),
]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(DIRT), max_size=20))
def test_planted_dirt_is_counted_by_its_reason_and_the_sums_add_up(
    tmp_path_factory: pytest.TempPathFactory, planted: list[Dirt]
) -> None:
    folder = tmp_path_factory.mktemp("dirty")
    good = [line(prose(0)), line(prose(1, 80)), *(line(prose(seed)) for seed in range(2, 12))]
    path = write_lines(folder / "a.jsonl", [*good, *(dirt.line for dirt in planted), b""])
    ledger = prepare(Jsonl(path=path, errors="skip"), None, VOCABULARY, folder).ledger

    expected = Counter(dirt.reason for dirt in planted)
    if expected["near-duplicate"] > 1:  # the second is an exact copy of the first
        expected["exact duplicate"] += expected["near-duplicate"] - 1
        expected["near-duplicate"] = 1
    dropped = {row.outcome.removeprefix("dropped: "): row.documents for row in ledger if "dropped" in row.outcome}
    assert dropped == dict(expected)
    read, *rest = ledger
    assert (read.outcome, read.documents) == ("read", len(good) + len(planted))
    assert sum(row.documents for row in rest) == read.documents
    assert sum(row.size for row in rest) == read.size
    assert sum(row.documents for row in rest if row.outcome.startswith("kept")) == len(good)
    quarantine = next(folder.glob("tokens/*/quarantine.jsonl")).read_text().splitlines()
    assert Counter(json.loads(entry)["reason"] for entry in quarantine) == expected
    assert all(json.loads(entry)["where"].startswith(path) for entry in quarantine)


def test_the_ledger_counts_bytes_of_kept_texts_and_what_cleaning_took(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [line(prose(seed) + "  \r\n\r\n") for seed in range(5)])
    ledger = prepare(Jsonl(path=path, validation_share=0), None, VOCABULARY, tmp_path).ledger
    rows = {row.outcome: row for row in ledger}
    assert rows["cleaned away"].size == 5 * len("  \r\n\r\n")
    assert rows["kept: train"].size + rows["kept: test"].size == sum(len(prose(seed)) for seed in range(5))
    assert rows["kept: test"].tokens > 0


def test_a_broken_line_is_refused_by_file_and_line(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [line("one"), b'{"text" "two"}'])
    with pytest.raises(Refusal, match=r"a\.jsonl:2:9: broken JSON"):
        prepare(Jsonl(path=path), None, VOCABULARY, tmp_path)
    assert not (tmp_path / "tokens").exists()


def test_nothing_left_is_refused(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [b"{}", b"{}"])
    with pytest.raises(Refusal, match=r"no document that can be used: 2 were read, all were dropped"):
        prepare(Jsonl(path=path, errors="skip"), None, VOCABULARY, tmp_path)


def test_parts_share_no_document_nor_anything_near_one(tmp_path: Path) -> None:
    originals = {f"{seed}-0": prose(seed, 120) for seed in range(30)}
    copies = {f"{seed}-{copy}": prose(seed, 120) + f" end{copy}" for seed in range(30) for copy in (1, 2)}
    lines = [line(text) for text in [*copies.values(), *originals.values()]]
    source = Jsonl(path=write_lines(tmp_path / "a.jsonl", lines), validation_share=0.2, test_share=0.3)
    prepared = prepare(source, None, VOCABULARY, tmp_path)
    sets: list[set[str]] = []
    for part in PARTS:
        corpus = getattr(prepared, part)
        texts = [prepared.tokenizer.decode(corpus.document(index).tolist()) for index in range(len(corpus))]
        sets.extend(set(shingles(Document("", text))) for text in texts)
    assert len(sets) == 30
    for index, left in enumerate(sets):
        assert not any(left & right for right in sets[index + 1 :])
    assert not set.intersection(*names(prepared))
    assert [len(part) for part in names(prepared)] == [15, 6, 9]


def test_neither_the_setting_of_errors_nor_the_share_of_recall_moves_a_document(tmp_path: Path) -> None:
    source = Jsonl(path=write_lines(tmp_path / "a.jsonl", [line(prose(seed)) for seed in range(12)]))
    first = prepare(source, None, VOCABULARY, tmp_path)
    second = prepare(replace(source, errors="skip", recall_share=0.5), None, VOCABULARY, tmp_path)
    assert names(first) == names(second)
    assert first.digest == second.digest


def test_a_second_call_tokenises_nothing_and_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Jsonl(path=write_lines(tmp_path / "a.jsonl", [line(prose(seed)) for seed in range(12)]))
    first = prepare(source, None, VOCABULARY, tmp_path)

    def forbidden(*arguments: object) -> None:
        raise AssertionError("the cache should have been used")

    for step in ("train_tokenizer", "write_corpus", "drop_near"):
        monkeypatch.setattr(prepare_module, step, forbidden)
    second = prepare(source, None, VOCABULARY, tmp_path)
    assert second.digest == first.digest
    assert second.ledger == first.ledger
    assert second.tokenizer.to_str() == first.tokenizer.to_str()
    assert second.test.tokens.tolist() == first.test.tokens.tolist()


def test_another_content_setting_or_tokenizer_has_another_digest(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [line(prose(seed)) for seed in range(12)])
    source = Jsonl(path=path)
    digests = [prepare(source, None, VOCABULARY, tmp_path).digest]
    digests.append(prepare(source, None, VOCABULARY + 1, tmp_path).digest)
    for texts in (["other"], ["another"]):
        digests.append(prepare(source, train_tokenizer(texts, 259), VOCABULARY, tmp_path).digest)
    digests.append(prepare(replace(source, near_duplicates=0.7), None, VOCABULARY, tmp_path).digest)
    digests.append(prepare(replace(source, test_share=0.2), None, VOCABULARY, tmp_path).digest)
    digests.append(prepare(replace(source, validation_share=0.2), None, VOCABULARY, tmp_path).digest)
    write_lines(tmp_path / "a.jsonl", [line(prose(seed)) for seed in range(1, 13)])
    digests.append(prepare(source, None, VOCABULARY, tmp_path).digest)
    assert len(set(digests)) == len(digests)


def test_documents_that_begin_otherwise_have_another_digest_and_others_the_one_that_they_had(tmp_path: Path) -> None:
    source = Jsonl(path=write_lines(tmp_path / "a.jsonl", [line(prose(0))]))
    plain = train_tokenizer(["some"], 259)
    items, begun = list(source.documents()), Tokenizer.from_str(plain.to_str())
    begun.post_processor = TemplateProcessing(single=f"{END} $A", special_tokens=[(END, 0)])

    known, other = (list(ingredients(items, source, one, VOCABULARY)) for one in (plain, begun))

    assert known[:3] == ["3", plain.to_str(), repr(source.near_duplicates)]
    assert other == ["3", begun.to_str(), "documents begin with (0,)", *known[2:]]


def test_a_damaged_cache_is_built_again(tmp_path: Path) -> None:
    source = Jsonl(path=write_lines(tmp_path / "a.jsonl", [line(prose(seed)) for seed in range(12)]))
    first = prepare(source, None, VOCABULARY, tmp_path)
    tokens = first.train.tokens.tolist()
    file = tmp_path / "tokens" / first.digest / "train" / "tokens.bin"
    file.write_bytes(file.read_bytes()[:-2])
    assert prepare(source, None, VOCABULARY, tmp_path).train.tokens.tolist() == tokens


def test_the_tokenizer_never_sees_a_text_that_is_not_trained_on(tmp_path: Path) -> None:
    lines = [
        line(" ".join(f"{letter * 9} {prose(seed, 20)}" for _ in range(9))) for seed, letter in enumerate("qxzjvk")
    ]
    source = Jsonl(path=write_lines(tmp_path / "a.jsonl", lines), validation_share=0.2, test_share=0.3)
    prepared = prepare(source, None, 400, tmp_path)
    for part, expected in (("train", True), ("validation", False), ("test", False)):
        corpus = getattr(prepared, part)
        assert len(corpus) > 0
        for index in range(len(corpus)):
            letter = prepared.tokenizer.decode(corpus.document(index).tolist())[0]
            assert (prepared.tokenizer.token_to_id(letter * 9) is not None) == expected


def test_a_given_tokenizer_is_used_and_a_control_token_in_a_text_stays_text(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["given"], 257)
    tokenizer.encode_special_tokens = False
    (tmp_path / "a.txt").write_text(f"one{END}two")
    source = Text(path=str(tmp_path / "a.txt"), validation_share=0, test_share=1)
    prepared = prepare(source, tokenizer, 0, tmp_path)
    assert prepared.tokenizer.to_str() == tokenizer.to_str()
    assert prepared.test.document(0).tolist().count(0) == 1
    assert len(prepared.test.tokens) == len(f"one{END}two") + 1
    assert len(prepared.train) == 0


def test_a_tokenizer_cannot_be_trained_on_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    source = Text(path=str(tmp_path / "a.txt"), validation_share=0, test_share=1)
    with pytest.raises(Refusal, match=r"a tokenizer can't be trained without training documents"):
        prepare(source, None, VOCABULARY, tmp_path)


def test_each_long_step_is_watched_to_its_end(tmp_path: Path) -> None:
    seen: dict[str, tuple[int, int | None]] = {}

    def watch(items: Iterable[Item], label: str, total: int | None, /) -> Iterable[Item]:
        seen[label] = (0, total)
        for item in items:
            yield item
            seen[label] = (seen[label][0] + 1, total)

    source = Jsonl(path=write_lines(tmp_path / "a.jsonl", [line(prose(seed)) for seed in range(10)]))
    prepare(source, None, VOCABULARY, tmp_path, watch)
    assert seen == {
        "Reading": (10, None),
        "Cleaning": (10, 10),
        "Looking for near-duplicates": (10, 10),
        "Training the tokenizer": (16, 16),
        "Encoding train": (8, 8),
        "Encoding validation": (1, 1),
        "Encoding test": (1, 1),
    }


def pair_lines(count: int) -> list[bytes]:
    """Return the JSON lines of `count` pairs of three groups in turn, two right answers each."""
    rows = [{"q": prose(n), "a": [f"answer {n}", f"reply {n}"], "g": "xyz"[n % 3]} for n in range(count)]
    return [json.dumps(row).encode() for row in rows]


def test_pairs_keep_their_prompt_groups_and_answers_and_a_group_held_out_is_only_tested_on(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", pair_lines(30))
    fields = {"input_field": "q", "target_field": "a", "group_field": "g", "prompt": "to {group}: {input}"}
    source = Jsonl(path=path, held_out=["y"], application="translation", **fields)  # type: ignore[arg-type]
    for prepared in (prepare(source, None, VOCABULARY, tmp_path), prepare(source, None, VOCABULARY, tmp_path)):
        found = {part: getattr(prepared, part).pairs for part in PARTS}
        assert [{pair.group for pair in found[part]} for part in PARTS[:2]] == [{"x", "z"}, {"x"}]
        assert [pair.group for pair in found["test"]].count("y") == 10
        assert sorted(len(pairs) for pairs in found.values()) == [1, 12, 17]
        for part in PARTS:
            corpus = getattr(prepared, part)
            for index, pair in enumerate(found[part]):
                number = int(pair.name.rpartition(":")[2]) - 1
                assert pair.source == f"to {'xyz'[number % 3]}: {prose(number)}"
                assert pair.targets == (f"answer {number}", f"reply {number}")
                text = prepared.tokenizer.decode(corpus.document(index).tolist(), skip_special_tokens=False)
                assert text == f"{pair.source}\n{pair.targets[0]}{END}"


def test_a_prompt_moves_no_pair_and_another_prompt_or_group_held_out_has_another_digest(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", pair_lines(30))
    fields = {"input_field": "q", "target_field": "a", "group_field": "g"}
    plain = Jsonl(path=path, **fields)  # type: ignore[arg-type]
    sources = [plain, replace(plain, prompt="{group} {input}"), replace(plain, held_out=["x"])]
    found = [prepare(source, None, VOCABULARY, tmp_path) for source in sources]
    assert names(found[0]) == names(found[1]) != names(found[2])
    assert len({prepared.digest for prepared in found}) == 3
    bare = [line.replace(b', "reply', b', "other') for line in pair_lines(30)]
    write_lines(tmp_path / "a.jsonl", bare)
    assert prepare(plain, None, VOCABULARY, tmp_path).digest != found[0].digest


def test_an_application_without_pairs_and_a_group_that_is_not_there_are_refused_also_from_the_cache(
    tmp_path: Path,
) -> None:
    source = Jsonl(path=write_lines(tmp_path / "a.jsonl", [line(prose(seed)) for seed in range(12)]))
    prepare(source, None, VOCABULARY, tmp_path)
    with pytest.raises(Refusal, match=r"dataset.application=summarisation scores pairs"):
        prepare(replace(source, application="summarisation"), None, VOCABULARY, tmp_path)
    with pytest.raises(Refusal, match=r"dataset.held_out names 'x', which no pair belongs to"):
        prepare(replace(source, held_out=["x"]), None, VOCABULARY, tmp_path)


def test_a_target_that_is_no_label_is_refused_by_its_line_or_counted(tmp_path: Path) -> None:
    rows = [{"q": prose(n), "a": ["good", "bad", "fair"][n % 3 if n == 5 else n % 2]} for n in range(12)]
    path = write_lines(tmp_path / "a.jsonl", [json.dumps(row).encode() for row in rows])
    source = Jsonl(path=path, input_field="q", target_field="a", application="classification", labels=["good", "bad"])
    with pytest.raises(Refusal, match=r"a\.jsonl:6: target 'fair': not among dataset.labels=\['good', 'bad'\] \(dat"):
        prepare(source, None, VOCABULARY, tmp_path)
    ledger = prepare(replace(source, errors="skip"), None, VOCABULARY, tmp_path).ledger
    assert [row.documents for row in ledger if "not among dataset.labels" in row.outcome] == [1]


def test_what_was_repaired_is_told_anew_and_clean_texts_keep_their_digest(tmp_path: Path) -> None:
    source = Jsonl(path=str(tmp_path))
    documents = [Document("a", "x\ufffd"), Document("a", "x\ufffd", flaws=("not UTF-8",)), Document("a", "x\r\n")]
    found = [list(ingredients([document], source, None, VOCABULARY)) for document in documents]
    assert found[0][-6:] == ["document", "a", "x\ufffd", "", "()", ""]
    assert found[1] == [*found[0], "not UTF-8"]
    assert found[2][-1] == "CRLF"
