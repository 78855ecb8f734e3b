"""A summary that can be checked: some sentences of a text are marked, and are to be repeated in their order.

filler. Note: The old river lay behind the mill. filler. filler. Note: ...  ->  The old river lay behind the mill. ...
"""

from dataclasses import dataclass

from ctxext.maths.counted import generator
from ctxext.tasks.filler import draw_filler

MARK = "Note:"
MARKED_WORDS = 11
"""The words of the longest marked sentence, its mark included."""


@dataclass(frozen=True)
class Report:
    """The `sentences` of a text, none of them twice, and the places among them of those that are marked."""

    sentences: list[str]
    marked: list[int]

    @property
    def text(self) -> str:
        """The whole text, with its marks."""
        marks = [f"{MARK} " if place in self.marked else "" for place in range(len(self.sentences))]
        return " ".join(mark + sentence for mark, sentence in zip(marks, self.sentences, strict=True))

    @property
    def summary(self) -> str:
        """The marked sentences in their order."""
        return " ".join(self.sentences[place] for place in self.marked)


def report(seed: int, index: int, words: int, marks: int) -> Report:
    """Return text number `index` of `seed`, of at most `words` words, `marks` of its sentences marked.

    There must be room for them: `words` are at least MARKED_WORDS for each mark.
    """
    draw = generator(seed, "report", index)
    sentences = [sentence.lstrip() for sentence in draw_filler(draw, words - marks)]  # each mark is a word
    return Report(sentences, sorted(draw.choice(len(sentences), size=marks, replace=False).tolist()))
