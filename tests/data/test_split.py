"""The split follows contents alone, loses nothing and shares nothing."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxext.data.documents import Document
from ctxext.data.split import split_documents
from ctxext.refusal import Refusal

GOLDEN_TEST = ["text 2", "text 7"]
GOLDEN_VALIDATION = ["text 6"]


def documents(count: int) -> list[Document]:
    """Return `count` different documents."""
    return [Document(f"name-{index}", f"text {index}") for index in range(count)]


@settings(deadline=None)
@given(st.integers(20, 60), st.floats(0, 0.5), st.floats(0, 0.4))
def test_parts_are_disjoint_and_make_up_the_whole(count: int, validation: float, test: float) -> None:
    everything = documents(count)
    split = split_documents(everything, validation, test)
    together = [*split.train, *split.validation, *split.test]
    assert sorted(document.name for document in together) == sorted(document.name for document in everything)


@settings(deadline=None)
@given(st.integers(10, 40), st.randoms(use_true_random=False))
def test_neither_order_nor_names_move_a_text_to_another_part(count: int, draw: random.Random) -> None:
    everything = documents(count)
    renamed = [Document(f"other-{index}", document.text) for index, document in enumerate(everything)]
    draw.shuffle(renamed)
    first, second = split_documents(everything, 0.1, 0.2), split_documents(renamed, 0.1, 0.2)
    for part in ("train", "validation", "test"):
        left, right = ({document.text for document in getattr(split, part)} for split in (first, second))
        assert left == right


@settings(deadline=None)
@given(st.integers(8, 40), st.sets(st.sampled_from("abcd"), min_size=1, max_size=3), st.floats(0, 0.5))
def test_a_group_held_out_is_tested_on_alone_and_moves_nobody_else(
    count: int, held_out: set[str], share: float
) -> None:
    everything = [Document(str(i), f"text {i}", "target", group="abcd"[i % 4]) for i in range(count)]
    others = [document for document in everything if document.group not in held_out]
    assert split_documents(others, 0, share).train == split_documents(everything, 0, share, held_out).train
    split = split_documents(everything, 0.2 if len(others) > 3 else 0, 0.2, held_out)
    assert not held_out & {document.group for document in (*split.train, *split.validation)}
    assert {document.name for document in everything if document.group in held_out} <= {d.name for d in split.test}
    assert len(split.train) + len(split.validation) + len(split.test) == count


def test_with_everything_held_out_there_is_nothing_to_train_on() -> None:
    pairs = [Document(str(i), f"text {i}", "target", group="a") for i in range(9)]
    with pytest.raises(Refusal, match=r"need 1, there are 0 outside dataset.held_out=\['a'\]"):
        split_documents(pairs, 0.1, 0.1, ["a"])


def test_shares_are_rounded_up() -> None:
    split = split_documents(documents(100), 0.07, 0.101)
    assert (len(split.train), len(split.validation), len(split.test)) == (82, 7, 11)


def test_known_texts_fall_where_they_always_fell() -> None:
    split = split_documents(documents(10), 0.1, 0.2)
    assert [document.text for document in split.test] == GOLDEN_TEST
    assert [document.text for document in split.validation] == GOLDEN_VALIDATION


def test_the_whole_can_be_one_part() -> None:
    assert len(split_documents(documents(3), 0, 1).test) == 3
    assert len(split_documents(documents(1), 0, 0).train) == 1


@pytest.mark.parametrize(("count", "validation", "test"), [(1, 0, 0.1), (2, 0.1, 0.1), (1, 0.5, 0.5)])
def test_too_few_documents_are_refused_with_what_to_set(count: int, validation: float, test: float) -> None:
    with pytest.raises(Refusal, match=r"need \d, there are \d; .*dataset.test_share=0"):
        split_documents(documents(count), validation, test)
