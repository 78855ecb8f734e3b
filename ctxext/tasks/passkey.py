"""Passkey retrieval: one fact in a haystack, its code ranked among ten.

filler. The code of Ada is treaty vessel. filler. ... Recall: the code of Ada is ->  treaty vessel. | labor peace. | ...
"""

from dataclasses import dataclass
from typing import ClassVar

from ctxext.tasks.haystack import KINDS, check_haystack, line_of, room_of, stacked
from ctxext.tasks.knowledge import known
from ctxext.tasks.recall import NAMES, Fact, draw_names
from ctxext.tasks.samples import Asked, Material, Place, Task
from ctxext.tasks.values import DISTRACTORS, asked, check_kind, draw_values, longest, longest_value

DIGITS = 5


@dataclass
class Passkey(Task):
    """One fact among the lines of a `haystack`; what is asked for is its code, of a `kind` of values."""

    haystack: str
    kind: str

    is_by_depth: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse kinds that don't exist."""
        check_haystack("evaluation.parameters.passkey", self.haystack, KINDS)
        check_kind("evaluation.parameters.passkey", self.kind)

    def sample(self, place: Place, material: Material) -> Asked:
        """Return the sample at `place`; depth 0 plants the fact at the start of the haystack, 1 at its end."""
        draw, encode = place.draw, material.encode
        (name,) = draw_names(draw, 1)
        (code,) = draw_values(draw, self.kind, 1, DIGITS)
        fact = Fact(name, code)
        others = draw_values(draw, self.kind, DISTRACTORS + 1, DIGITS)
        question = asked(encode(fact.question), [code], others, encode)
        needle = encode(fact.statement)
        room = room_of(place, [needle], [question], lambda: known(material, repr(self), lambda: self.least(material)))
        line = line_of(self.haystack, draw, place, material, [name, code, *others, "code"])
        stack = stacked(room, line, line)
        # The share of the lines, not of the tokens: what was measured so far stays comparable.
        tokens, positions = stack.bury([needle], [round(place.depth * len(stack.lines))])
        return Asked(place, tokens, positions, [question])

    def least(self, material: Material) -> int:
        """Return how many tokens suffice for any draw."""
        encode = material.encode
        fact = Fact(longest(NAMES, encode), longest_value(self.kind, DIGITS, encode))
        return sum(len(encode(part)) for part in (fact.statement, fact.question, fact.answer))
