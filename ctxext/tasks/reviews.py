"""Reviews whose one opinion stands at a random depth among sentences that have none.

filler. filler. We found the harbor delightful. filler. filler. filler.  ->  positive
"""

from dataclasses import dataclass

from ctxext.maths.counted import generator
from ctxext.tasks.filler import draw_filler
from ctxext.tasks.recall import THINGS

LABELS = ("positive", "negative")
LEXICON = {
    "positive": """
        admirable charming delightful excellent fine graceful impressive lovely marvelous pleasant refreshing splendid
        superb welcome wonderful worthy
    """.split(),  # noqa: SIM905
    "negative": """
        annoying appalling awful boring clumsy disappointing dreadful dull horrible nasty poor shabby terrible tiresome
        ugly useless
    """.split(),  # noqa: SIM905
}
FRAMES = [
    " We found the {thing} {word}.",
    " To me the {thing} seemed {word}.",
    " All in all it was a visit to a {word} {thing}.",
    " Everyone called the {thing} {word}.",
]
"""How an opinion is said; which one it is follows from its `word` alone."""
OPINION_WORDS = max(len(frame.split()) for frame in FRAMES)


@dataclass(frozen=True)
class Review:
    """The `sentences` of a review, each with the space before it, the `place` of its opinion among them, the label."""

    sentences: list[str]
    place: int
    label: str

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.sentences).lstrip()


def review(seed: int, index: int, words: int) -> Review:
    """Return review number `index` of `seed`, of at most `words` words, the opinion included; labels take turns."""
    draw, label = generator(seed, "review", index), LABELS[index % len(LABELS)]
    frame, thing, word = (kind[draw.integers(len(kind))] for kind in (FRAMES, THINGS, LEXICON[label]))
    opinion = frame.format(thing=thing, word=word)
    rest = draw_filler(draw, words - len(opinion.split()))
    place = int(draw.integers(len(rest) + 1))
    return Review([*rest[:place], opinion, *rest[place:]], place, label)
