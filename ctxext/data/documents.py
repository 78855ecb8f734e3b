"""What a source yields: documents, and the defects that stand where a document should have been."""

from dataclasses import dataclass, field

UNDECODED = "not UTF-8"
SHOWN = 200
"""Bytes or characters of what was dropped that are kept."""


@dataclass(frozen=True)
class Document:
    """A text with its name, and, in an (input, target) pair, the target that follows it.

    `others` are further right answers, which are not trained on, `group` is the direction or subset of the pair, and
    `body` the input of a pair whose `text` has a prompt around it. `flaws` are the reasons for which it was repaired.
    """

    name: str
    text: str
    target: str = ""
    others: tuple[str, ...] = ()
    group: str = ""
    body: str = ""
    flaws: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The text, the target and the further answers."""
        return (self.text, self.target, *self.others)

    @property
    def size(self) -> int:
        """Return the UTF-8 bytes of the text and the target; a lone surrogate, as JSON may hold, counts three."""
        return len(self.text.encode("utf-8", "surrogatepass")) + len(self.target.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True)
class Defect:
    """An input that gave no document: where it stands (file:line), the reason, its size in bytes, and a hint.

    `content` is its beginning, as a person can read it.
    """

    where: str
    reason: str
    size: int
    hint: str = field(default="", compare=False)
    content: str = field(default="", compare=False)


def beginning_of(content: bytes | str) -> str:
    """Return the first characters of `content`, what is no text of it as escapes."""
    start = content[:SHOWN]
    return start.decode(errors="backslashreplace") if isinstance(start, bytes) else start
