"""No document stays that is a copy, or nearly one, of a document before it."""

import random

import pytest

from ctxext.data.deduplication import drop_exact, drop_near, num_bands
from ctxext.data.documents import Document
from ctxext.data.watch import unwatched


def words(seed: int, count: int = 400) -> list[str]:
    """Return `count` words drawn from `seed`."""
    draw = random.Random(seed)
    return [f"w{draw.randrange(5000)}" for _ in range(count)]


def with_changes(source: list[str], changes: int) -> list[str]:
    """Return `source` with `changes` of its words replaced, evenly spread."""
    changed = list(source)
    for index in range(changes):
        changed[index * len(source) // changes] = f"changed{index}"
    return changed


def jaccard(left: list[str], right: list[str]) -> float:
    """Return the exact likeness of the sets of 5-shingles."""
    sets = [{tuple(side[start : start + 5]) for start in range(len(side) - 4)} for side in (left, right)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def document(name: str, content: list[str]) -> Document:
    """Return a document of `content`."""
    return Document(name, " ".join(content))


def test_the_first_of_the_same_contents_stays_whatever_the_names() -> None:
    documents = [Document("a", "x"), Document("b", "y"), Document("c", "x"), Document("d", "x", "target")]
    kept, dropped = drop_exact(documents)
    assert [document.name for document in kept] == ["a", "b", "d"]
    assert [(defect.where, defect.reason) for defect in dropped] == [("c", "exact duplicate")]


def test_a_moved_border_between_input_and_target_is_another_content() -> None:
    assert len(drop_exact([Document("a", "xy", "z"), Document("b", "x", "yz")])[0]) == 2


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9])
def test_planted_copies_above_the_threshold_go_and_those_below_stay(threshold: float) -> None:
    originals = [words(seed) for seed in range(30)]
    documents = [document(f"original-{seed}", content) for seed, content in enumerate(originals)]
    near, far = set(), set()
    for seed, content in enumerate(originals):
        for changes in (2, 5, 10, 20, 40, 70):
            copy = with_changes(content, changes)
            likeness = jaccard(content, copy)
            # Within a tenth of the threshold the estimate may fall on either side.
            name = f"copy-{seed}-{changes}"
            if likeness > threshold + 0.1 * (1 - threshold) + 0.03:
                near.add(name)
            elif likeness < threshold - 0.12:
                far.add(name)
            else:
                continue
            pair = [documents[seed], document(name, copy)]
            kept, _ = drop_near(pair, threshold, unwatched)
            assert len(kept) == (1 if name in near else 2), (name, likeness)
    assert near
    assert far
    assert len(drop_near(documents, threshold, unwatched)[0]) == len(documents)


def test_case_and_line_breaks_hide_no_copy() -> None:
    content = words(1)
    copy = Document("copy", "\n".join(content).upper())
    kept, dropped = drop_near([document("original", content), copy], 0.8, unwatched)
    assert [document.name for document in kept] == ["original"]
    assert [(defect.where, defect.reason, defect.size) for defect in dropped] == [
        ("copy", "near-duplicate", len(copy.text))
    ]


def test_many_things_may_be_asked_of_one_input_and_the_same_only_once() -> None:
    text, other = " ".join(words(1)), " ".join(with_changes(words(1), 1))
    asked = [Document(f"{index}", f"{text} what is {index}?", target=f"the number {index}") for index in range(4)]
    again = [Document("again", f"{other} what is 2?", "The  number 2"), Document("text", f"{text} what is 2?")]
    kept, dropped = drop_near([*asked, *again], 0.8, unwatched)
    assert [document.name for document in kept] == ["0", "1", "2", "3", "text"]
    assert [defect.where for defect in dropped] == ["again"]


def test_short_documents_are_compared_whole() -> None:
    documents = [Document("a", "two words"), Document("b", "Two  words"), Document("c", "other words")]
    assert [document.name for document in drop_near(documents, 0.8, unwatched)[0]] == ["a", "c"]


def test_the_result_is_the_same_twice() -> None:
    documents = [
        document(f"{seed}-{changes}", with_changes(words(seed), changes))
        for seed in range(5)
        for changes in range(1, 40, 6)
    ]
    assert drop_near(documents, 0.7, unwatched) == drop_near(documents, 0.7, unwatched)


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.8, 0.95, 0.999])
def test_the_index_looks_at_almost_every_pair_at_the_threshold(threshold: float) -> None:
    bands = num_bands(threshold)
    rows = 256 // bands
    assert bands == 256 or 1 - (1 - threshold**rows) ** bands >= 0.999
