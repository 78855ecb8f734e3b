"""Pairs are read as they were written, whatever stands in them."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ctxext.data.documents import Document
from ctxext.data.pairs import Pair, load_pairs, pair_of

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.builds(Pair, WORDS, WORDS, st.lists(WORDS, min_size=1).map(tuple), st.text())))
def test_pairs_are_read_as_they_were_written(tmp_path_factory, pairs: list[Pair]) -> None:  # type: ignore[no-untyped-def]
    file: Path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    file.write_text("".join(pair.line for pair in pairs), encoding="utf-8")
    assert load_pairs(file) == pairs


def test_the_target_trained_on_comes_first() -> None:
    document = Document("a", "in", "out", ("other", "third"), "x")
    assert pair_of(document) == Pair("a", "in", ("out", "other", "third"), "x", "in")
