"""What a measurement tells of its pace, and where it can be ended."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from torch import nn

from ctxext.data.corpus import Corpus
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.measure import measure, weigh
from ctxext.evaluation.pace import Pace
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.evaluation.settings import Evaluation


class Told(Pace):
    """Keeps what it is told, and ends the measurement at the given tick."""

    def __init__(self, last: int = 10**9) -> None:
        self.heard: list[str] = []
        self.ticks, self.last = 0, last

    def begin(self, what: str) -> None:
        self.heard.append(what)

    def count(self, done: int, total: int) -> None:
        self.heard.append(f"{done}/{total}")

    def tick(self) -> None:
        self.ticks += 1
        if self.ticks > self.last:
            raise SystemExit(75)

    def end(self, found: str) -> None:
        self.heard.append(found)


@pytest.fixture
def ground(settings: Evaluation, corpus: Corpus, tokenizer: Tokenizer, make_ground: Callable[..., Ground]) -> Ground:
    settings.lengths = [32, 64]
    return make_ground(settings, 32, corpus, tokenizer)


def test_each_length_is_told_with_what_was_found_and_how_far_it_is(
    network: nn.Module, ground: Ground, tmp_path: Path
) -> None:
    told = Told()
    reader = WholeReader(network, 64)
    found = measure("base", reader, ground, Ledger(tmp_path / "a.jsonl", told))
    weigh(found, replace(reader, pace=told), ground)
    row = found.scored[32].row("base", 32)

    first = ["32", "0/4", "2/4", f"perplexity {row['perplexity']:.1f}  4 documents"]
    assert told.heard[:4] == first
    assert told.heard[4:9] == ["64", "0/4", "1/4", "2/4", "3/4"]
    assert told.heard[-2:] == ["cost", ""]


def test_a_reader_ticks_before_each_pass(network: nn.Module, ground: Ground) -> None:
    told = Told()
    TruncatedReader(network, 32, 32, 1, pace=told).score(ground.windows.last(64), 10)
    assert told.ticks == 4 * 10
    WholeReader(network, 64, told).score(ground.windows.last(64), 10)
    assert told.ticks == 4 * 10 + 4


def test_what_was_scored_before_an_end_is_kept(network: nn.Module, ground: Ground, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        measure("base", WholeReader(network, 32), ground, Ledger(tmp_path / "a.jsonl", Told(last=3)))
    assert len(Ledger(tmp_path / "a.jsonl").known) == 3
