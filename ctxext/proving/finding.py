"""What a property was found to be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Whether the property `name` holds, the number `measured` on the way, and what was done or why not, in `words`.

    `holds` is None where the composition declares that the property doesn't, or where it has nothing to act on;
    `measured` is None where nothing was.
    """

    name: str
    holds: bool | None
    measured: float | None
    words: str


def absent(name: str, words: str) -> Finding:
    """Return the finding that the property `name` isn't promised, for the reason in `words`."""
    return Finding(name, None, None, words)
