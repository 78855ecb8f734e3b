"""Files that may be a stranger's: bounded in size, depth and what they may name before anything is made of them."""

import json
from pathlib import Path
from typing import Any

import yaml

from ctxext.refusal import Refusal, require

LARGEST = 1 << 24
"""The bytes of a JSON file that is parsed here: the index of the largest models has a tenth."""
LARGEST_YAML = 1 << 18
"""The bytes of a configuration or of the head of a card, which is parsed slowly."""
DEEPEST = 50
"""How deep lists and keys may lie in one another in YAML."""
LARGEST_RECORD = 1 << 27
"""The bytes of the lines that a run measured, each of which has at most `LARGEST`."""
SNAPSHOTS = "snapshots"
"""Where the hub's cache keeps folders of links to the files of one model."""


def content_of(file: Path, most: int = LARGEST) -> bytes:
    """Return the bytes of `file`; refuse one that can't be read, or has more than `most`."""
    try:
        require(file.is_file(), f"{file}: no such file")  # nor is a pipe or a device one
        with file.open("rb") as opened:
            content = opened.read(most + 1)
    except OSError as error:
        raise Refusal(f"{file}: cannot be read ({error.strerror})") from error
    require(len(content) <= most, f"{file}: must have at most {most} bytes, got {file.stat().st_size}")
    return content


def text_of(file: Path, most: int = LARGEST) -> str:
    """Return the text in `file`; refuse one that can't be read, isn't UTF-8, or has more than `most` bytes."""
    try:
        return content_of(file, most).decode()
    except UnicodeDecodeError as error:
        raise Refusal(f"{file}: not UTF-8 ({error.reason} at byte {error.start})") from error


def object_in(content: bytes | str, file: Path, reproach: str = "") -> dict[str, Any]:
    """Return the JSON object in `content` of `file`; refuse what is none, with a `reproach`, and a key there twice."""
    opening = f"{file}: {reproach}, it" if reproach else f"{file}:"
    try:
        found: object = json.loads(content, object_pairs_hook=lambda pairs: once(pairs, file))
    except Refusal:
        raise
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{opening} cannot be read as JSON ({error})") from error
    require(isinstance(found, dict), f"{opening} must be a JSON object, got {type(found).__name__}")
    assert isinstance(found, dict)
    return found


def once(pairs: list[tuple[str, Any]], file: Path) -> dict[str, Any]:
    """Return `pairs` as a dict; refuse a name of `file` that occurs twice: readers differ in which they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set[str]()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise Refusal(f"{file}: {twice} occurs twice")
    return found


def calm_yaml(text: str, file: Path) -> str:
    """Return the YAML `text` of `file`; refuse one that is long or deep, or repeats parts of itself by reference.

    A dozen lines of references to references stand for more than any memory holds.
    """
    require(len(text) <= LARGEST_YAML, f"{file}: YAML must have at most {LARGEST_YAML} characters, got {len(text)}")
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise Refusal(f"{file}: YAML may not refer to parts of itself, got *{event.anchor}")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            require(depth <= DEEPEST, f"{file}: YAML may be {DEEPEST} levels deep at most")
    except (yaml.YAMLError, RecursionError) as error:
        raise Refusal(f"{file}: can't be read as YAML ({' '.join(str(error).split())})") from error
    return text


def check_links(folder: Path, patterns: tuple[str, ...]) -> None:
    """Refuse a file of `folder` among those named by `patterns` that is a link out of it.

    The hub's own cache links from its snapshots to its blobs, both in the folder of one model.
    """
    home = folder.resolve()
    root = home.parents[1] if home.parent.name == SNAPSHOTS else home
    for file in sorted(file for pattern in patterns for file in folder.glob(pattern) if file.is_symlink()):
        target = file.resolve()
        require(target.is_relative_to(root), f"{file}: links out of its folder are not followed, got {target}")
