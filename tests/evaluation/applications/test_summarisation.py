"""ROUGE as counted by hand, with stems, and the first sentences as its baseline."""

from collections.abc import Callable

import pytest

from ctxext.data.pairs import Pair
from ctxext.evaluation.answers.continuation import Ending
from ctxext.evaluation.applications.application import Item
from ctxext.evaluation.applications.summarisation import Summarisation, rouge, sentences


def f(matches: int, said: int, right: int) -> float:
    return 2 * matches / (said + right)


def test_rouge_as_counted_by_hand() -> None:
    found = rouge("the dog sat on a mat", ["the cat sat on the mat"])
    # Words: the, sat, on, mat; pairs: "sat on"; in order: the sat on mat.
    assert found["rouge1"] == pytest.approx(f(4, 6, 6))
    assert found["rouge2"] == pytest.approx(f(1, 5, 5))
    assert found["rougeL"] == pytest.approx(f(4, 6, 6))
    assert found["rougeLsum"] == pytest.approx(f(4, 6, 6))


def test_lsum_forgives_the_order_of_sentences_and_l_does_not() -> None:
    found = rouge("They ran home. She won gold.", ["She won gold. They ran home."])
    assert found["rougeL"] == pytest.approx(f(3, 6, 6))
    assert found["rougeLsum"] == pytest.approx(1)


def test_words_count_by_their_stems() -> None:
    assert rouge("runners running", ["runner runs"])["rouge1"] == pytest.approx(1)


def test_the_best_of_several_references_counts() -> None:
    assert rouge("red green", ["blue", "red green"])["rouge1"] == pytest.approx(1)
    assert rouge("", ["red"]) == dict.fromkeys(("rouge1", "rouge2", "rougeL", "rougeLsum"), 0.0)


def test_sentences_end_at_marks_and_lines() -> None:
    assert sentences("One. Two? Three!\nFour\n\n Five 3.5 six ") == ["One.", "Two?", "Three!", "Four", "Five 3.5 six"]


def test_the_first_three_sentences_stand_beside_the_summary(ending: Ending, item: Callable[..., Item]) -> None:
    items = [item("Red one. Green two. Blue three. Black four.", "Black four.", number=number) for number in range(2)]
    rows = {row["metric"]: row for row in Summarisation(ending, 8).rows(items, ["black four", "red one"])}
    assert list(rows) == [
        name + suffix for suffix in ("", " of lead-3") for name in ("rouge1", "rouge2", "rougeL", "rougeLsum")
    ]
    assert rows["rouge1"]["value"] == pytest.approx(0.5)
    assert rows["rouge1 of lead-3"]["value"] == 0
    assert rows["rouge1"]["signature"] == "f|stemmer:yes|sentences:.!?|version:0.1.2"


def test_the_baseline_is_made_of_the_input_and_not_of_the_prompt_around_it(ending: Ending) -> None:
    body = "One river. Two mills. Three towns. Four roads."
    pair = Pair("a", f"Sum up what follows. Be brief.\n{body}", ("One river. Two mills. Three towns.",), "", body)
    rows = Summarisation(ending, 8).rows([Item(0, pair, [], [], 0)], [""])
    leads = {row["metric"]: row["value"] for row in rows if "lead-3" in row["metric"]}

    assert leads == dict.fromkeys(leads, 1.0)
    assert len(leads) == 4
