"""What a subject scores on the common ground, kept and read back."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from torch import Tensor, nn

from ctxext.data.corpus import Corpus
from ctxext.evaluation.language import drawn_end
from ctxext.evaluation.measure import Ground, Measurement, common_ground, measure
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.evaluation.settings import Evaluation
from ctxext.position.learned import Learned
from ctxext.refusal import Refusal

Oracle = Callable[[nn.Module, Tensor, int, int], tuple[Tensor, Tensor]]


def unwatched(items: Iterable[Any], label: str, total: int) -> Iterable[Any]:
    return items


@pytest.fixture
def ground(settings: Evaluation, corpus: Corpus, tokenizer: Tokenizer) -> Ground:
    settings.lengths, settings.tasks = [48, 64, 96], ["passkey"]
    return common_ground(settings, 64, corpus, tokenizer, drawn_end)


@pytest.fixture
def whole(network: nn.Module, ground: Ground) -> Measurement:
    return measure("base", WholeReader(network, 300), ground, unwatched)


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
    found = measure("truncated", TruncatedReader(network, 300, 20, 1), ground, unwatched)

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
    found = measure("truncated", TruncatedReader(network, 300, 64, 1), ground, unwatched)

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
    found = measure("base", WholeReader(learned, 300), ground, unwatched)

    assert found.unread == {96: "its positions end at 64 tokens"}
    assert list(found.scored) == [48, 64]
    assert found.positions == []
    assert {record["length"] for record in found.records} == {48, 64}
    nll, _ = oracle(learned, ground.windows.last(64), 10, 64)
    np.testing.assert_allclose(found.scored[64].nll / 10, nll.mean(dim=1).numpy(), atol=1e-6)


def test_the_truncated_subject_reads_every_length_within_a_table_of_positions(
    ground: Ground, network_of: Callable[..., nn.Module]
) -> None:
    found = measure("truncated", TruncatedReader(network_of(position=Learned(64)), 300, 64, 1), ground, unwatched)

    assert found.unread == {}
    assert list(found.scored) == [48, 64, 96]
    assert {record["length"] for record in found.records} == {48, 64, 96}


def test_there_is_a_record_for_each_sample_and_a_row_for_each_cell(whole: Measurement, ground: Ground) -> None:
    assert [(record["length"], record["depth"], record["index"]) for record in whole.records] == [
        (sample.length, sample.depth, sample.index) for length in (48, 64, 96) for sample in ground.samples[length]
    ]
    assert [(row["length"], row["depth"], row["n"]) for row in whole.task_rows()] == [
        (length, depth, n) for length in (48, 64, 96) for depth, n in (("all", 4), (0.0, 2), (1.0, 2))
    ]


def test_a_measurement_is_read_back_as_it_was(whole: Measurement, tmp_path: Path) -> None:
    path = tmp_path / "measured" / "a.json"
    whole.unread[128] = "its positions end"
    whole.save(path)
    again = Measurement.load(path)

    assert (again.subject, again.positions, again.records) == (whole.subject, whole.positions, whole.records)
    assert again.unread == {128: "its positions end"}
    assert list(again.scored) == list(whole.scored)
    for length, scored in whole.scored.items():
        for name, value in vars(scored).items():
            loaded = getattr(again.scored[length], name)
            assert loaded.dtype == value.dtype
            assert loaded.tobytes() == value.tobytes()
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


def test_a_measurement_that_is_not_finite_is_not_kept(whole: Measurement, tmp_path: Path) -> None:
    whole.scored[48].nll[0] = np.nan
    with pytest.raises(ValueError, match="not JSON compliant"):
        whole.save(tmp_path / "a.json")
    assert not list(tmp_path.glob("*.json"))


def test_the_ground_is_the_same_for_every_run_and_has_no_samples_without_the_task(
    ground: Ground, settings: Evaluation, corpus: Corpus, tokenizer: Tokenizer
) -> None:
    again = common_ground(settings, 64, corpus, tokenizer, drawn_end)
    settings.tasks = []
    bare = common_ground(settings, 64, corpus, tokenizer, drawn_end)

    assert again.windows.tokens.tolist() == ground.windows.tokens.tolist()
    assert again.samples == ground.samples
    assert bare.samples == {}
    json.dumps(measure("base", WholeReader(Nothing(), 300), bare, unwatched).records)


class Nothing:
    """Knows nothing: every token is as likely as any other."""

    def __init__(self) -> None:
        import torch

        from ctxext.kernels.loss import Unembedding

        self.unembedding = Unembedding(torch.zeros(320, 4), None, 0.0)

    def hidden(self, tokens: Tensor, positions: Tensor) -> Tensor:
        return self.unembedding[0].new_ones(*tokens.shape, 4)


def test_a_network_that_knows_nothing_scores_the_logarithm_of_the_vocabulary(
    settings: Evaluation, corpus: Corpus, tokenizer: Tokenizer
) -> None:
    bare = common_ground(settings, 32, corpus, tokenizer, drawn_end)
    for reader in (WholeReader(Nothing(), 300), TruncatedReader(Nothing(), 300, 32, 1)):
        found = measure("base", reader, bare, unwatched)
        for length, scored in found.scored.items():
            assert scored.row("base", length)["nll"] == pytest.approx(np.log(320), abs=1e-6)


def test_a_stride_beyond_what_a_pass_reads_is_refused(
    settings: Evaluation, corpus: Corpus, tokenizer: Tokenizer
) -> None:
    settings.truncated_stride = 9

    with pytest.raises(Refusal, match=r"evaluation\.truncated_stride must be at most base\.trained_length=8,"):
        common_ground(settings, 8, corpus, tokenizer, drawn_end)
    assert common_ground(settings, 9, corpus, tokenizer, drawn_end).trained_length == 9
