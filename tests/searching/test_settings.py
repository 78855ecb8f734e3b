"""The settings of the search: ranges, and names that exist."""

from collections.abc import Callable

import pytest

from ctxext.config.schema import Run
from ctxext.refusal import Refusal


def test_the_default_is_far_smaller_than_the_papers(built: Callable[..., Run]) -> None:
    settings = built().search
    candidates = settings.population + settings.iterations * (settings.mutations + settings.crossovers)
    assert candidates == 96


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("search.objective=txt", "search.objective must be one of text, lookup, both, got 'txt'; did you mean 'text'?"),
        ("search.step=0", "search.step must be above 0 and at most 1, got 0"),
        ("search.iterations=0", "search.iterations must be above 0, got 0"),
        ("search.probability=1.5", "search.probability must be above 0 and at most 1, got 1.5"),
        ("search.parents=17", "search.parents must be at most search.population=16, got 17"),
        ("search.mutations=-1", "search.mutations must be at least 0, got -1"),
    ],
)
def test_a_value_out_of_range_is_refused_in_a_sentence(word: str, sentence: str, built: Callable[..., Run]) -> None:
    with pytest.raises(Refusal) as raised:
        built(word)
    assert str(raised.value).startswith(sentence)


def test_a_search_that_tries_nothing_is_refused(built: Callable[..., Run]) -> None:
    with pytest.raises(Refusal, match="are both 0, so that nothing would be tried"):
        built("search.mutations=0", "search.crossovers=0")
