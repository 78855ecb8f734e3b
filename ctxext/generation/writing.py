"""From tokens to the text that is shown, up to one of its ends."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ctxext.generation.text import Characters, Stop


@dataclass(frozen=True)
class Ends:
    """Where a text ends: at a token of `tokens`, before a text of `words`, or after `most` tokens."""

    tokens: tuple[int, ...]
    words: tuple[str, ...]
    most: int


class Writing:
    """What is written of a continuation: its `text`, how many tokens were `drawn` for it, and why it `ended`."""

    def __init__(self, characters: Characters, ends: Ends) -> None:
        self.characters, self.ends = characters, ends
        self.text, self.drawn, self.ended = "", 0, "interrupted"

    def pieces(self, tokens: Iterable[int]) -> Iterator[str]:
        """Yield the text of `tokens` piece by piece."""
        stop = Stop(self.ends.words)
        for token in tokens:
            self.drawn += 1
            if token in self.ends.tokens:
                self.ended = "end token"
                break
            yield self.kept(stop.push(self.characters.push(token)))
            if stop.found:
                self.ended = f"stop {stop.found!r}"
                return
            if self.drawn >= self.ends.most:
                self.ended = "max_new_tokens"
                break
        else:
            self.ended = "no position left"
        yield self.kept(stop.push(self.characters.close()) + stop.close())
        if stop.found:
            self.ended = f"stop {stop.found!r}"

    def kept(self, piece: str) -> str:
        """Return `piece`, which is now of the text."""
        self.text += piece
        return piece
