"""What evaluation.measures asks for: a row at each length that can be read, and a reason where there is none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from torch import nn

from ctxext.data.corpus import Corpus
from ctxext.evaluation.ground import Ground, KeyTokens
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.evaluation.results import check_rows
from ctxext.evaluation.settings import MEASURES, Evaluation
from ctxext.evaluation.text.language import Windows
from ctxext.evaluation.text.measures import KNOWN, measures_of
from ctxext.position.learned import Learned

LENGTHS = [16, 32, 48, 96]


@pytest.fixture
def ground(
    make_ground: Callable[..., Ground], make_settings: Callable[..., Evaluation], corpus: Corpus, tokenizer: Tokenizer
) -> Ground:
    found = make_ground(make_settings(measures=[*MEASURES]), 32, corpus, tokenizer)
    return replace(found, keys=KeyTokens("the base", torch.ones(4, 10, dtype=torch.bool)))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl")


def test_every_measure_that_can_be_asked_for_is_known() -> None:
    assert set(MEASURES) <= set(KNOWN)


def test_each_measure_has_a_row_at_each_length_as_results_take_it(
    network: nn.Module, ground: Ground, ledger: Ledger
) -> None:
    found = measures_of("base", WholeReader(network, 300), ground, ledger)

    assert [(row["measure"], row["length"]) for row in found.rows] == [
        (name, length) for name in ("longppl", "long_gain", "sliding", "sliding_yarn", "shift") for length in LENGTHS
    ]
    assert found.missing == []
    check_rows("language", found.rows)
    assert all(row["low"] <= row["value"] <= row["high"] and row["n"] > 0 for row in found.rows)


def test_nothing_is_measured_that_was_not_asked_for(network: nn.Module, ground: Ground, ledger: Ledger) -> None:
    ground.settings.measures = []
    assert not any(measures_of("base", WholeReader(network, 300), ground, ledger))
    assert not ledger.path.exists()


def test_the_control_has_what_can_be_told_of_it(network: nn.Module, ground: Ground, ledger: Ledger) -> None:
    found = measures_of("truncated", TruncatedReader(network, 300, 32, 1), ground, ledger)

    assert {row["measure"] for row in found.rows} == {"longppl", "long_gain"}
    assert [row["what"] for row in found.missing] == ["sliding", "sliding_yarn", "shift"]
    check_rows("missing", found.missing)


def test_lengths_beyond_a_table_of_positions_are_missing(
    network_of: Callable[..., nn.Module], ground: Ground, ledger: Ledger
) -> None:
    ground.settings.measures = ["shift"]
    found = measures_of("base", WholeReader(network_of(position=Learned(40)), 300), ground, ledger)

    assert [row["length"] for row in found.rows] == [16, 32]
    assert [(row["what"], row["length"], row["reason"]) for row in found.missing] == [
        ("shift", length, "its positions end at 40 tokens") for length in (48, 96)
    ]


def test_where_memory_is_short_the_measure_ends(network: nn.Module, ground: Ground, ledger: Ledger) -> None:
    class Short(WholeReader):
        def score(self, windows: Any, scored: int) -> Any:
            if windows.shape[1] > 32:
                raise MemoryError
            return super().score(windows, scored)

        def score_behind(self, shared: Any, windows: Any, scored: int) -> Any:
            if len(shared) + windows.shape[1] > 32:
                raise MemoryError
            return super().score_behind(shared, windows, scored)

    ground.settings.measures = ["sliding", "shift"]
    found = measures_of("base", Short(network, 300), ground, ledger)

    assert [(row["measure"], row["length"]) for row in found.rows] == [
        (name, length) for name in ("sliding", "shift") for length in (16, 32)
    ]
    reasons = [row["reason"] for row in found.missing if row["what"] == "shift"]
    assert reasons[0].startswith("out of memory at batch 1")
    assert reasons[1] == "out of memory at 48 already"


def test_without_a_text_to_score_each_measure_says_so(network: nn.Module, ground: Ground, ledger: Ledger) -> None:
    nothing = torch.zeros(0, 96, dtype=torch.long)
    ground = replace(ground, windows=Windows(nothing, nothing > 0, nothing, []))

    found = measures_of("base", WholeReader(network, 300), ground, ledger)

    assert found.rows == []
    assert [row["what"] for row in found.missing] == ["longppl", "long_gain", "sliding", "sliding_yarn", "shift"]
    assert all("no document held out" in row["reason"] for row in found.missing)
