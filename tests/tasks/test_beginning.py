"""A sample that begins as every text does is the shorter one behind that beginning, or is refused."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from ctxext.refusal import Refusal
from ctxext.tasks.beginning import begun
from ctxext.tasks.mqar import Mqar
from ctxext.tasks.samples import Asked, Dictated, Material, Place, Sample, Task
from ctxext.tasks.strings import Copy


@dataclass(frozen=True)
class Ids:
    """Ids alone, and what texts begin with."""

    beginning: Sequence[int] = ()
    ordinary: Sequence[int] = range(9, 4000)
    sentences: Sequence[str] = ()

    def encode(self, text: str) -> list[int]:
        return []


@dataclass
class Fixed(Task):
    """A sample as long as its place says."""

    def sample(self, place: Place, material: Material) -> Sample:
        if place.length > 9:
            raise Refusal("evaluation.lengths: the task fixed needs 8 tokens or fewer")
        return Asked(place, [20] * place.length, [0, 3], [])


def at(length: int) -> Place:
    return Place("fixed", 0, length, 0.5, 1)


def test_without_a_beginning_it_is_the_task_s_own_sample() -> None:
    assert begun(Mqar(2, 1, 0.01), at(40), Ids()) == Mqar(2, 1, 0.01).sample(at(40), Ids())


def test_the_beginning_takes_the_first_places_and_moves_what_is_counted_by_them() -> None:
    assert begun(Fixed(), at(6), Ids((5, 6))) == Asked(at(6), [5, 6, 20, 20, 20, 20], [2, 5], [])
    assert begun(Fixed(), at(0), Ids((5, 6))) == Asked(at(0), [5, 6], [2, 5], [])

    copied = begun(Copy(4), at(21), Ids((5,)))
    shorter = Copy(4).sample(at(20), Ids())
    assert isinstance(copied, Dictated)
    assert (copied.tokens, copied.labels) == ([5, *shorter.tokens], [label + 1 for label in shorter.labels])
    assert copied.place == at(21)


@pytest.mark.parametrize("length", [1, 2])
def test_a_length_without_room_for_more_than_the_beginning_is_refused(length: int) -> None:
    with pytest.raises(Refusal, match=rf"the task fixed needs more than 2 tokens, got {length}; .* every text with 2"):
        begun(Fixed(), at(length), Ids((5, 6)))


def test_a_refusal_of_the_task_says_what_comes_on_top() -> None:
    with pytest.raises(Refusal, match=r"needs 8 tokens or fewer; and 1 more, since the tokenizer begins every text"):
        begun(Fixed(), at(11), Ids((5,)))
