"""What a source yields: documents, and the defects that stand where a document should have been."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Document:
    """A text with its name, and, in an (input, target) pair, the target that follows it.

    `others` are further right answers, which are not trained on, `group` is the direction or subset of the pair, and
    `body` the input of a pair whose `text` has a prompt around it.
    """

    name: str
    text: str
    target: str = ""
    others: tuple[str, ...] = ()
    group: str = ""
    body: str = ""

    @property
    def size(self) -> int:
        """Return the UTF-8 bytes of the text and the target; a lone surrogate, as JSON may hold, counts three."""
        return len(self.text.encode("utf-8", "surrogatepass")) + len(self.target.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True)
class Defect:
    """An input that gave no document: where it stands (file:line), the reason, its size in bytes, and a hint."""

    where: str
    reason: str
    size: int
    hint: str = field(default="", compare=False)
