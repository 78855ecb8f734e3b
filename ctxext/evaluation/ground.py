"""What every subject is measured on: the same windows of text and the same samples, whatever reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

from tokenizers import Tokenizer
from torch import Tensor

from ctxext.data.corpus import Corpus
from ctxext.data.material import CorpusMaterial
from ctxext.data.sources import Source
from ctxext.data.tokenizer import byte_lengths
from ctxext.evaluation.settings import Evaluation
from ctxext.evaluation.text.language import EndPoint, Windows, choose_windows, longest, no_windows
from ctxext.maths.fingerprint import fingerprint
from ctxext.refusal import Refusal, require
from ctxext.tasks.beginning import begun
from ctxext.tasks.samples import Material, Place, Sample


class Samples(Mapping[int, list[Sample]]):
    """The samples of a task by length, spread over the depths; those of a length are drawn when they are asked for.

    The first length, 0, has no filler. One that the task doesn't fit has none.
    """

    def __init__(self, task: str, settings: Evaluation, material: Material) -> None:
        """Draw nothing yet; a `task` that fits none of the lengths is refused."""
        self.task, self.settings, self.material = task, settings, material
        self.lengths = (0, *settings.lengths)
        self.drawn: dict[int, list[Sample]] = {}
        self.reasons: dict[int, str] = {}
        refusals = []
        for length in reversed(settings.lengths):
            try:
                next(self.draw(length))
            except Refusal as refusal:
                refusals.append(refusal)
            else:
                return
        raise refusals[0]

    def draw(self, length: int) -> Iterator[Sample]:
        """Yield the samples of `length`, or refuse it."""
        task = self.settings.parameters.task(self.task)
        for place in places(self.task, length, self.settings):
            yield begun(task, place, self.material)

    def __getitem__(self, length: int) -> list[Sample]:
        """Return the samples of `length`, drawn once."""
        if length not in self.lengths:
            raise KeyError(length)
        if length not in self.drawn:
            try:
                self.drawn[length] = list(self.draw(length))
            except Refusal as refusal:
                self.drawn[length], self.reasons[length] = [], str(refusal)
        return self.drawn[length]

    def __iter__(self) -> Iterator[int]:
        return iter(self.lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def unfit(self) -> dict[int, str]:
        """Why there are no samples, by length, for those that the task doesn't fit."""
        return {length: self.reasons[length] for length in self if not self[length]}


@dataclass(frozen=True)
class KeyTokens:
    """Which of the scored tokens of each document are key tokens, `chosen` [N, k], in the eyes of `evaluator`."""

    evaluator: str
    chosen: Tensor


@dataclass(frozen=True)
class Ground:
    """`windows` of held-out text of `corpus`, and `samples` of the tasks; `source` says what its pairs are.

    `keys` are the key tokens of LongPPL, or why there are none.
    """

    settings: Evaluation
    trained_length: int
    windows: Windows
    samples: dict[str, Samples]
    corpus: Corpus
    tokenizer: Tokenizer
    source: Source
    keys: KeyTokens | str = "no evaluator has chosen key tokens"

    @cached_property
    def text_digest(self) -> str:
        """A hash of the windows and of what begins them."""
        windows = self.windows
        tensors = {"tokens": windows.tokens, "targets": windows.targets, "bytes": windows.sizes}
        return fingerprint(tensors, self.trained_length, *self.corpus.beginning)

    @property
    def unscored(self) -> str:
        """Why no text is scored by length, or nothing."""
        if self.windows.names:
            return ""
        return (
            f"no document held out has the {self.settings.lengths[-1]} tokens of the longest evaluation.lengths, and "
            f"the longest has {longest(self.corpus)}; pairs are scored whole, as an application"
        )


def common_ground(
    settings: Evaluation,
    trained_length: int,
    corpus: Corpus,
    tokenizer: Tokenizer,
    source: Source,
    end_point: EndPoint,
) -> Ground:
    """Return the ground on `corpus`, each window ending where `end_point` says; refuse lengths that no document has.

    Where `source` has an application, which pairs of any length are for, there may be no windows instead.
    """
    size = len(corpus.beginning)
    less = f" less the {size} that begin every text" if size else ""
    require(
        settings.truncated_stride <= trained_length - size,
        f"evaluation.truncated_stride must be at most base.trained_length={trained_length}{less}, the tokens of a "
        f"pass, got {settings.truncated_stride}",
    )
    sizes, key = byte_lengths(tokenizer), "evaluation.lengths"
    most = settings.lengths[-1]
    if source.application and longest(corpus) < most:
        windows = no_windows(most)
    else:
        windows = choose_windows(corpus, most, settings.documents, sizes, end_point, key)
    material = CorpusMaterial(corpus, tokenizer)
    samples = {task: Samples(task, settings, material) for task in settings.tasks}
    return Ground(settings, trained_length, windows, samples, corpus, tokenizer, source)


def places(task: str, length: int, settings: Evaluation) -> Iterator[Place]:
    """Yield the places of the samples of `task` at `length`; the depths count where the task plants by depth."""
    depths = settings.depths if settings.parameters.task(task).is_by_depth and length else [0.0]
    for index in range(settings.samples):
        yield Place(task, 0, length, depths[index % len(depths)], index // len(depths))


def digest_of(sample: Sample) -> str:
    """Return a short hash of all of `sample`."""
    return blake2b(repr(sample).encode(), digest_size=12).hexdigest()
