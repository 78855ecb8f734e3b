"""Filler counted in words: sentences that state nothing that is asked for."""

from numpy.random import Generator

from ctxext.tasks.recall import filler


def draw_filler(draw: Generator, words: int) -> list[str]:
    """Return different sentences of at most `words` words together, each with the space before it."""
    sentences: dict[str, None] = {}
    while True:
        sentence = filler(draw)
        if sentence in sentences:
            continue
        words -= len(sentence.split())
        if words < 0:
            return list(sentences)
        sentences[sentence] = None
