"""What a subject scores on the common ground, kept and read back."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from torch import Tensor, nn

from ctxext.data.corpus import Corpus
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.measure import Measurement, measure
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.evaluation.settings import Evaluation
from ctxext.model.lstm import LstmCache
from ctxext.position.learned import Learned

Oracle = Callable[[nn.Module, Tensor, int, int], tuple[Tensor, Tensor]]


def fresh() -> Ledger:
    """Return a ledger that knows nothing, and whose file nobody reads."""
    return Ledger(Path(tempfile.mkdtemp()) / "a.jsonl")


@pytest.fixture
def ground(settings: Evaluation, corpus: Corpus, tokenizer: Tokenizer, make_ground: Callable[..., Ground]) -> Ground:
    settings.lengths, settings.tasks = [48, 64, 96], ["passkey"]
    return make_ground(settings, 64, corpus, tokenizer)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "measured" / "a.jsonl")


@pytest.fixture
def whole(network: nn.Module, ground: Ground, ledger: Ledger) -> Measurement:
    return measure("base", WholeReader(network, 300), ground, ledger)


def test_every_length_is_scored_as_by_brute_force(
    whole: Measurement, network: nn.Module, ground: Ground, oracle: Oracle
) -> None:
    assert list(whole.scored) == [48, 64, 96]
    for length, scored in whole.scored.items():
        nll, hit = oracle(network, ground.windows.last(length), 10, length)
        np.testing.assert_allclose(scored.nll / 10, nll.mean(dim=1).numpy(), atol=1e-6)
        assert scored.hits.tolist() == hit.sum(dim=1).tolist()
        assert scored.counts.tolist() == [10] * 4


def test_the_truncated_subject_is_scored_as_by_brute_force_and_has_no_positions(
    network: nn.Module, ground: Ground, oracle: Oracle
) -> None:
    found = measure("truncated", TruncatedReader(network, 300, 20, 1), ground, fresh())

    for length, scored in found.scored.items():
        nll, _ = oracle(network, ground.windows.last(length), 10, 20)
        np.testing.assert_allclose(scored.nll / 10, nll.mean(dim=1).numpy(), atol=1e-6)
    assert found.positions == []
    assert [row.tobytes() for row in (found.scored[48].nll, found.scored[64].nll)] == [
        found.scored[96].nll.tobytes()
    ] * 2


def test_the_truncated_subject_is_the_base_at_the_trained_length(
    whole: Measurement, network: nn.Module, ground: Ground
) -> None:
    found = measure("truncated", TruncatedReader(network, 300, 64, 1), ground, fresh())

    assert found.scored[48].nll.tolist() == whole.scored[48].nll.tolist()
    assert found.scored[64].nll.tolist() == whole.scored[64].nll.tolist()
    assert found.scored[96].nll.tolist() != whole.scored[96].nll.tolist()
    ranks = [[record["rank"] for record in m.records if record["length"] <= 64] for m in (found, whole)]
    assert ranks[0] == ranks[1]


def test_positions_cover_the_longest_windows(whole: Measurement) -> None:
    assert [row["low_position"] for row in whole.positions] == [0, 16, 32, 48, 64]
    assert whole.positions[-1]["high_position"] == 96
    assert sum(row["tokens"] for row in whole.positions) == 4 * 95


def test_what_lies_beyond_a_table_of_positions_is_left_out_with_the_reason(
    ground: Ground, network_of: Callable[..., nn.Module], oracle: Oracle
) -> None:
    learned = network_of(position=Learned(64))
    found = measure("base", WholeReader(learned, 300), ground, fresh())

    assert found.unread == {96: "its positions end at 64 tokens"}
    assert list(found.scored) == [48, 64]
    assert found.positions == []
    assert {record["length"] for record in found.records} == {0, 48, 64}
    nll, _ = oracle(learned, ground.windows.last(64), 10, 64)
    np.testing.assert_allclose(found.scored[64].nll / 10, nll.mean(dim=1).numpy(), atol=1e-6)


def test_the_truncated_subject_reads_every_length_within_a_table_of_positions(
    ground: Ground, network_of: Callable[..., nn.Module]
) -> None:
    found = measure("truncated", TruncatedReader(network_of(position=Learned(64)), 300, 64, 1), ground, fresh())

    assert found.unread == {}
    assert list(found.scored) == [48, 64, 96]
    assert {record["length"] for record in found.records} == {0, 48, 64, 96}


def test_there_is_a_record_for_each_sample_and_a_row_for_each_cell(whole: Measurement, ground: Ground) -> None:
    assert [(record["length"], record["depth"], record["index"]) for record in whole.records] == [
        (sample.place.length, sample.place.depth, sample.place.index)
        for length in (0, 48, 64, 96)
        for sample in ground.samples["passkey"][length]
    ]
    cells = [(length, depth, n) for length in (48, 64, 96) for depth, n in (("all", 4), (0.0, 2), (1.0, 2))]
    assert [(row["length"], row["depth"], row["n"]) for row in whole.tasks] == [(0, "all", 4), *cells]


def test_what_the_ledger_knows_is_not_scored_again(
    whole: Measurement, network: nn.Module, ground: Ground, ledger: Ledger
) -> None:
    kept = Ledger(ledger.path)
    again = measure("base", Unreadable(network, 300), ground, kept)

    assert again.records == whole.records
    assert again.positions == whole.positions
    assert again.tasks == whole.tasks
    for length, scored in whole.scored.items():
        for name, value in vars(scored).items():
            assert getattr(again.scored[length], name).tobytes() == value.tobytes()


def test_a_measurement_that_ends_early_goes_on_where_it_was(
    whole: Measurement, network: nn.Module, ground: Ground, ledger: Ledger
) -> None:
    lines = ledger.path.read_text().splitlines(keepends=True)
    ledger.path.write_text("".join(lines[: len(lines) // 2]) + lines[len(lines) // 2][:9])
    resumed = Ledger(ledger.path)
    again = measure("base", WholeReader(network, 300), ground, resumed)

    assert again.records == whole.records
    assert again.positions == whole.positions
    for length, scored in whole.scored.items():
        assert scored.nll.tobytes() == again.scored[length].nll.tobytes()


class Unreadable(WholeReader):
    """Fails at every text."""

    def score(self, windows: Tensor, scored: int) -> tuple[Tensor, Tensor]:
        raise AssertionError("it was scored before")


class Narrow(WholeReader):
    """Runs out of memory at windows of 64 tokens and more, whatever the batch."""

    def score(self, windows: Tensor, scored: int) -> tuple[Tensor, Tensor]:
        if windows.shape[1] >= 64:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return super().score(windows, scored)


def test_a_length_without_memory_ends_the_sweep_with_its_reason_and_keeps_the_shorter_ones(
    network: nn.Module, ground: Ground, whole: Measurement
) -> None:
    found = measure("base", Narrow(network, 300), ground, fresh())

    assert list(found.scored) == [48]
    assert found.scored[48].nll.tolist() == whole.scored[48].nll.tolist()
    assert found.unread[64].startswith("out of memory at batch 1")
    assert found.unread[96].startswith("out of memory at 64 already")
    assert {record["length"] for record in found.records} == {0, 48}


def test_every_document_has_a_line_at_each_length(whole: Measurement) -> None:
    lines = list(whole.documents(["a", "b", "c", "d"]))

    assert [(line["length"], line["document"]) for line in lines] == [(n, d) for n in (48, 64, 96) for d in "abcd"]
    assert [line["nll"] for line in lines[:4]] == whole.scored[48].nll.tolist()
    assert lines[0].keys() == {"subject", "length", "document", "nll", "hits", "counts", "sizes"}


class Nothing(nn.Module):
    """Knows nothing: every token is as likely as any other."""

    def __init__(self) -> None:
        super().__init__()
        import torch

        from ctxext.kernels.loss import Unembedding

        self.unembedding = Unembedding(torch.zeros(320, 4), None, 0.0)

    def new_cache(self) -> LstmCache:
        return LstmCache()

    def hidden(self, tokens: Tensor, positions: Tensor, documents: None = None, cache: Any = None) -> Tensor:
        return self.unembedding[0].new_ones(*tokens.shape, 4)


def test_a_network_that_knows_nothing_scores_the_logarithm_of_the_vocabulary(
    settings: Evaluation, corpus: Corpus, tokenizer: Tokenizer, make_ground: Callable[..., Ground]
) -> None:
    bare = make_ground(settings, 32, corpus, tokenizer)
    for reader in (WholeReader(Nothing(), 300), TruncatedReader(Nothing(), 300, 32, 1)):
        found = measure("base", reader, bare, fresh())
        for length, scored in found.scored.items():
            assert scored.row("base", length)["nll"] == pytest.approx(np.log(320), abs=1e-6)
