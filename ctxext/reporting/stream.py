"""A text on stdout as it comes, by itself; what is said of it goes to stderr."""

import os
import sys

from ctxext.reporting.journal import Journal


class Aside(Journal):
    """A journal that speaks beside stdout."""

    def say(self, sentence: str) -> None:
        """Write `sentence` to stderr, on a line of its own."""
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()


class Stream:
    """What is shown on stdout; `is_open` until whoever reads it goes away."""

    def __init__(self) -> None:
        self.is_open, self.at_line_start = True, True

    def write(self, text: str) -> None:
        """Show `text` at once; a character that the terminal can't show becomes a question mark."""
        if not text or not self.is_open:
            return
        encoding = sys.stdout.encoding or "utf-8"
        try:
            sys.stdout.write(text.encode(encoding, errors="replace").decode(encoding))
            sys.stdout.flush()
        except BrokenPipeError:
            # As in `ctxext generate ... | head`: what is still buffered must not fail again at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.is_open = False
        self.at_line_start = text.endswith("\n")

    def end(self) -> None:
        """End the line."""
        if not self.at_line_start:
            self.write("\n")
