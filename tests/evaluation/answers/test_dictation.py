"""Teacher-forced accuracy: as a pass of its own for every labelled token gives it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ctxext.evaluation.answers.dictation import shares_right
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.tasks.samples import Dictated, Place

Oracle = Callable[[nn.Module, Tensor, int, int], tuple[Tensor, Tensor]]


@pytest.fixture
def samples(network: nn.Module, oracle: Oracle) -> list[Dictated]:
    """Samples in which some labelled tokens are what the network predicts, and others aren't."""
    draw = torch.Generator().manual_seed(2)
    made = []
    for index in range(5):
        tokens = torch.randint(0, 320, (30,), generator=draw)
        labels = [9 + index, 20, 27]
        for place in labels[: index % 3 + 1]:
            hidden = network.hidden(tokens[None, :place], torch.arange(place)[None])  # type: ignore[operator]
            weight, _, _ = network.unembedding  # type: ignore[misc]
            tokens[place] = (weight @ hidden[0, -1]).argmax()
        made.append(Dictated(Place("copy", 0, 30, 0.0, index), tokens.tolist(), [0], labels, 0.1))
    return made


@pytest.mark.parametrize("reach", [30, 8])
def test_each_labelled_token_counts_and_no_other(
    reach: int, samples: list[Dictated], network: nn.Module, oracle: Oracle
) -> None:
    reader = WholeReader(network, 64) if reach == 30 else TruncatedReader(network, 64, reach, 1)
    rows = torch.tensor([sample.tokens for sample in samples])
    _, hits = oracle(network, rows, 29, reach)
    wanted = [
        sum(bool(hits[row, label - 1]) for label in sample.labels) / len(sample.labels)
        for row, sample in enumerate(samples)
    ]

    assert shares_right(reader, samples) == pytest.approx(wanted)
    if reach == 30:
        assert set(wanted) >= {1 / 3, 2 / 3, 1.0}


@pytest.mark.parametrize("reader", [WholeReader, lambda *given: TruncatedReader(*given, 8, 1)])
def test_labels_at_the_end_are_scored_as_others_are(reader: Any, samples: list[Dictated], network: nn.Module) -> None:
    rows = torch.tensor([sample.tokens for sample in samples])
    last = torch.arange(20, 30).expand(len(rows), -1)
    both = [reader(network, 64).score_at(rows, places) for places in (last, torch.cat((last[:, :1] - 9, last), dim=1))]

    for whole, more in zip(*both, strict=True):
        torch.testing.assert_close(whole.float(), more[:, 1:].float(), atol=1e-5, rtol=0)
