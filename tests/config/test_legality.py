"""Which compositions are refused and which get a line: all pairs of options, and what is said first."""

import re
from collections.abc import Callable, Iterator
from itertools import combinations

import pytest

from ctxext.config import legality
from ctxext.config.folders import options
from ctxext.config.legality import notes
from ctxext.config.schema import Run
from ctxext.refusal import Refusal

SEAMS = ("position", "mask", "attention")
CHOICE = re.compile(r"\b(position|mask|attention)=(\w+)")


def pairs() -> Iterator[tuple[str, str, str]]:
    for first, second in combinations(SEAMS, 2):
        yield from ((first, name, second) for name in options(first))


def refused(run: Run) -> str:
    """Return why `run` is refused, or nothing."""
    try:
        legality.check(run)
    except Refusal as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize(("first", "name", "second"), list(pairs()))
def test_every_pair_is_legal_or_refused_by_a_sentence_that_names_both_and_what_would_do(
    first: str, name: str, second: str, small: Callable[..., Run]
) -> None:
    for other in options(second):
        pair = {first: name, second: other}
        sentence = refused(small(**pair))
        if not sentence:
            assert all("\n" not in line for line in notes(small(**pair)))
            continue
        reason, _, advice = sentence.rpartition("; ")
        assert set(pair.items()) <= set(CHOICE.findall(reason)), sentence
        nearest = CHOICE.findall(advice)
        assert nearest, sentence
        assert [refused(small(**pair | {slot: option})) for slot, option in nearest] == [""] * len(nearest), sentence


def test_what_the_weights_bear_is_said_before_all_else(built: Callable[..., Run]) -> None:
    with pytest.raises(Refusal, match="position=alibi can't take the weights"):
        built("position=alibi", "attention=self_extend")


def test_the_default_run_has_nothing_to_say(built: Callable[..., Run]) -> None:
    assert notes(built()) == []
