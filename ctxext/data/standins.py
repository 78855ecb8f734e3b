"""Stand-ins for labelled data, one for each application: pairs that are generated, so that none has to be brought."""

from dataclasses import dataclass, field

from ctxext.data.documents import Document
from ctxext.data.sources import Generated
from ctxext.refusal import nearest, require


@dataclass(frozen=True, kw_only=True)
class QuestionAnswering(Generated):
    """Texts that state facts about so many `people`, and a question about one of them."""

    people: int = 5

    def __post_init__(self) -> None:
        """Refuse values of the wrong type or out of range."""
        super().__post_init__()
        from ctxext.tasks.stated_facts import MOST_PEOPLE, QUESTION_WORDS, STATEMENT_WORDS

        require(1 <= self.people <= MOST_PEOPLE, f"dataset.people must be from 1 to {MOST_PEOPLE}, got {self.people}")
        self.check_room(self.people * STATEMENT_WORDS + QUESTION_WORDS)

    def document(self, index: int) -> Document:
        """Return pair number `index`: a text with its question, and the answer."""
        from ctxext.tasks.stated_facts import inquiry

        found = inquiry(self.seed, index, self.words, self.people)
        return Document(f"qa-{index}", found.text, found.answer)


@dataclass(frozen=True, kw_only=True)
class Translation(Generated):
    """Texts in a plain language and two invented ones, in each of the `directions` in turn."""

    directions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse values of the wrong type or out of range."""
        super().__post_init__()
        from ctxext.tasks.invented_language import DIRECTIONS, SENTENCE_WORDS

        require(bool(self.directions), f"dataset.directions must name some of {', '.join(DIRECTIONS)}, got []")
        for direction in self.directions:
            rule = f"dataset.directions must be among {', '.join(DIRECTIONS)}, got {direction!r}"
            require(direction in DIRECTIONS, rule + nearest(direction, DIRECTIONS))
        self.check_room(SENTENCE_WORDS)

    def document(self, index: int) -> Document:
        """Return pair number `index`: a text and its translation; the direction is its group."""
        from ctxext.tasks.invented_language import translation

        direction = self.directions[index % len(self.directions)]
        source, target = translation(self.seed, index, self.words, direction)
        return Document(f"translation-{index}", source, target, group=direction)


@dataclass(frozen=True, kw_only=True)
class Summarisation(Generated):
    """Texts of which `marks` sentences are marked, and these sentences as the summary."""

    marks: int = 2

    def __post_init__(self) -> None:
        """Refuse values of the wrong type or out of range."""
        super().__post_init__()
        from ctxext.tasks.marked_sentences import MARKED_WORDS

        require(self.marks >= 1, f"dataset.marks must be at least 1, got {self.marks}")
        self.check_room(self.marks * MARKED_WORDS)

    def document(self, index: int) -> Document:
        """Return pair number `index`: a text with its marks, and what is marked."""
        from ctxext.tasks.marked_sentences import report

        found = report(self.seed, index, self.words, self.marks)
        return Document(f"summarisation-{index}", found.text, found.summary)


@dataclass(frozen=True, kw_only=True)
class Sentiment(Generated):
    """Reviews that hold one opinion at a random depth, and whether it is positive or negative."""

    def __post_init__(self) -> None:
        """Refuse values of the wrong type or out of range."""
        super().__post_init__()
        from ctxext.tasks.reviews import OPINION_WORDS

        self.check_room(OPINION_WORDS)

    def document(self, index: int) -> Document:
        """Return pair number `index`: a review and its label."""
        from ctxext.tasks.reviews import review

        found = review(self.seed, index, self.words)
        return Document(f"sentiment-{index}", found.text, found.label)
