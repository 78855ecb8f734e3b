"""Characters as they come: no half of one is shown, and nothing of a text at which to stop."""

from collections.abc import Sequence

from tokenizers import Tokenizer

UNREAD = "\ufffd"
"""What bytes become that are no character, or not yet."""
UNSURE = 3
"""The last tokens of broken text that may still become a character: one has at most 4 bytes, a token at least 1."""
CONTEXT = 8
"""Tokens of the prompt before the first new one: whether it begins with a space may depend on what it follows."""


class Characters:
    """Turns tokens into text, holding back those that may be part of a character."""

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int]) -> None:
        """Go on after the tokens of `prompt`."""
        self.tokenizer = tokenizer
        self.context, self.pending = list(prompt[-CONTEXT:]), list[int]()

    def push(self, token: int) -> str:
        """Return the characters that are whole now that `token` has come."""
        self.pending.append(token)
        text = self.close()
        if text.endswith(UNREAD):
            return self.settled()
        if text:
            self.context, self.pending = self.pending, []
        return text

    def settled(self) -> str:
        """Return what no token to come can make a character of."""
        tokens, self.pending = self.pending[:-UNSURE], self.pending[-UNSURE:]
        text = self.after(tokens)
        self.context = (self.context + tokens)[-CONTEXT:]
        return text

    def close(self) -> str:
        """Return what is still held back."""
        return self.after(self.pending)

    def after(self, tokens: list[int]) -> str:
        """Return what `tokens` add to the context."""
        before = self.tokenizer.decode(self.context)
        return str(self.tokenizer.decode(self.context + tokens))[len(before) :]


class Stop:
    """Lets a text through up to the first of `words` in it, holding back what may be the beginning of one."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words, self.held, self.found = tuple(words), "", ""

    def push(self, text: str) -> str:
        """Return what can be shown now that `text` has come; nothing any more once a word was `found`."""
        if self.found:
            return ""
        self.held += text
        places = [(place, word) for word in self.words if (place := self.held.find(word)) >= 0]
        if places:
            place, self.found = min(places)
            shown, self.held = self.held[:place], ""
            return shown
        size = max((overlap(self.held, word) for word in self.words), default=0)
        shown, self.held = self.held[: len(self.held) - size], self.held[len(self.held) - size :]
        return shown

    def close(self) -> str:
        """Return what is still held back."""
        return self.held


def overlap(text: str, word: str) -> int:
    """Return how many characters at the end of `text` are the beginning of `word`."""
    longest = min(len(text), len(word) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(word[:size])), 0)
