"""Exact match and F1 on a table made by hand from SQuAD's rules, in their order."""

from collections.abc import Callable

import pytest

from ctxext.evaluation.answers.continuation import Ending
from ctxext.evaluation.applications.application import Item
from ctxext.evaluation.applications.question_answering import QuestionAnswering, exact_match, f1, f1_whole, normal

# Prediction, reference, exact match, and F1 as a fraction.
GOLDEN = [
    ("Ada", "Ada", 1, (1, 1)),
    ("ada", "ADA", 1, (1, 1)),
    ("the cat", "cat", 1, (1, 1)),
    ("The Cat", "a cat", 1, (1, 1)),
    ("an apple a day", "apple day", 1, (1, 1)),
    ("theatre", "the atre", 0, (0, 1)),
    ("cat.", "cat", 1, (1, 1)),
    ("it's", "its", 1, (1, 1)),
    ("well-known", "wellknown", 1, (1, 1)),
    ("well-known", "well known", 0, (0, 1)),
    ("  New \t York\n", "new york", 1, (1, 1)),
    ("New York City", "New York", 0, (4, 5)),
    ("York", "New York", 0, (2, 3)),
    ("in the year 1999", "1999", 0, (1, 2)),
    ("London", "Paris", 0, (0, 1)),
    ("dog dog dog", "dog", 0, (1, 2)),
    ("red red blue", "red blue blue", 0, (2, 3)),
    ("", "", 1, (1, 1)),
    ("", "something", 0, (0, 1)),
    ("something", "", 0, (0, 1)),
    ("the", "", 1, (1, 1)),
    ("!?", "a", 1, (1, 1)),
    ("a.", "b", 0, (0, 1)),
    ("café", "cafe", 0, (0, 1)),
    ("CAFÉ", "café", 1, (1, 1)),
    ("“Ada”", "Ada", 0, (0, 1)),
    ("Straße 5", "straße 5", 1, (1, 1)),
    ("東京 タワー", "東京", 0, (2, 3)),
    ("a.the", "athe", 1, (1, 1)),
    ("$3,000.50", "300050", 1, (1, 1)),
    ("an-other", "another", 1, (1, 1)),
    ("yes it is", "yes", 0, (1, 2)),
]


def test_the_golden_table_has_thirty_pairs_or_more() -> None:
    assert len(GOLDEN) >= 30


@pytest.mark.parametrize(("prediction", "reference", "exact", "fraction"), GOLDEN)
def test_the_golden_table_holds(prediction: str, reference: str, exact: int, fraction: tuple[int, int]) -> None:
    assert exact_match(prediction, reference) == exact
    assert f1(prediction, reference) == pytest.approx(fraction[0] / fraction[1], abs=1e-15)
    assert f1(reference, prediction) == f1(prediction, reference)


def test_punctuation_goes_before_articles_do() -> None:
    assert normal("a-b") == "ab"  # with articles first, "b"
    assert normal("(The) A. 'an' x") == "x"


def test_yes_no_and_noanswer_count_whole() -> None:
    assert f1_whole("Yes, it is", "yes") == f1_whole("no", "there is no way") == 0
    assert f1_whole("noanswer", "no answer") == 0
    assert f1_whole("Yes.", "yes") == 1
    assert f1_whole("New York City", "New York") == 0.8


def test_an_answer_scores_as_beside_the_reference_that_suits_it_best(ending: Ending, item: Callable[..., Item]) -> None:
    application = QuestionAnswering(ending, 8)
    items = [item("Who?", "Paris", "New York"), item("Who?", "Ada Lovelace"), item("Who?", "yes")]
    exact, partial, whole = application.rows(items, ["new york city", "ada lovelace", "yes it is"])
    assert (exact["metric"], exact["value"]) == ("exact match", pytest.approx(1 / 3))
    assert (partial["metric"], partial["value"]) == ("f1", pytest.approx((0.8 + 1 + 0.5) / 3))
    assert (whole["metric"], whole["value"]) == ("f1 (yes, no and noanswer whole)", pytest.approx(1.8 / 3))
    for row in (exact, partial, whole):
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1


def test_f1_with_whole_words_is_there_only_where_a_reference_is_one(ending: Ending, item: Callable[..., Item]) -> None:
    rows = QuestionAnswering(ending, 8).rows([item("Who?", "Ada")], ["yes"])
    assert [row["metric"] for row in rows] == ["exact match", "f1"]


def test_an_empty_answer_stays_in_the_denominator(ending: Ending, item: Callable[..., Item]) -> None:
    exact, *_ = QuestionAnswering(ending, 8).rows([item("Who?", "Ada"), item("Who?", "Ada")], ["", "Ada"])
    assert exact["value"] == 0.5
