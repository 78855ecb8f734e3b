"""What reading costs, by length and subject."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from ctxext.attention.linear import Linear
from ctxext.data.corpus import Corpus
from ctxext.evaluation.costs import cost
from ctxext.evaluation.costs.cost import cost_of, row_of
from ctxext.evaluation.costs.timing import Timing
from ctxext.evaluation.found import Found
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.evaluation.results import check_rows
from ctxext.evaluation.settings import Evaluation
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.cost import cache_bytes, flops_per_token, head_weights, mask_density, parameter_count, weight_bytes
from ctxext.model.geometry import LstmGeometry
from ctxext.position.learned import Learned

LENGTHS = [16, 32, 48, 96]
TIMES = {"ms_per_token", "ms_per_token_least", "decode_ms_per_token", "decode_ms_per_token_least"}


@pytest.fixture
def ground(settings: Evaluation, corpus: Corpus, tokenizer: Tokenizer, make_ground: Callable[..., Ground]) -> Ground:
    settings.lengths, settings.repeats = LENGTHS, 2
    found: Ground = make_ground(settings, 32, corpus, tokenizer)
    return found


def reasons(found: Found) -> dict[str, str]:
    """Return why each number is missing."""
    return {row["what"]: row["reason"] for row in found.missing}


def test_each_length_has_a_row_that_results_take(network: nn.Module, ground: Ground) -> None:
    found = cost_of("base", WholeReader(network, 512), ground)

    check_rows("cost", found.rows)
    assert [row["length"] for row in found.rows] == LENGTHS
    assert reasons(found).keys() <= {"cost exponent"}  # times of so little are noise
    for row in found.rows:
        length = row["length"]
        assert row["flops_per_token"] == flops_per_token(network, length)
        assert row["mask_density"] == mask_density(network, length) == (length + 1) / 2 / length
        assert row["cache_bytes_per_token"] == cache_bytes(network, length) / length
        assert row["parameters"] == parameter_count(network)
        assert row["computed_flops_per_token"] > row["flops_per_token"]
        assert weight_bytes(network) <= row["peak_bytes"] < 1e8  # and not what the process holds besides
        assert 0 < row["ms_per_token_least"] <= row["ms_per_token"]
        assert 0 < row["decode_ms_per_token_least"] <= row["decode_ms_per_token"]
        assert (row["device"], row["dtype"], row["threads"]) == ("cpu", "float32", torch.get_num_threads())
        assert row["repeats"] == 2


def test_without_repeats_nothing_is_timed_and_what_is_counted_stays(network: nn.Module, ground: Ground) -> None:
    timed = cost_of("base", WholeReader(network, 512), ground).rows
    ground.settings.repeats = 0
    found = cost_of("base", WholeReader(network, 512), ground)

    assert reasons(found).keys() == {"cost ms_per_token", "cost exponent"}
    assert "evaluation.repeats=0" in reasons(found)["cost ms_per_token"]
    for row, other in zip(found.rows, timed, strict=True):
        assert not TIMES & row.keys()
        for key in ("flops_per_token", "computed_flops_per_token", "cache_bytes_per_token", "mask_density"):
            assert row[key] == other[key]


def test_needed_and_computed_stay_apart_under_a_window(ground: Ground, network_of: Callable[..., nn.Module]) -> None:
    windowed = network_of(mask=SlidingWindow(8))
    rows = {row["length"]: row for row in cost_of("extended", WholeReader(windowed, 512), ground).rows}

    pairs = {length: 36 + 8 * (length - 8) for length in (48, 96)}
    each = 4 * 4 * 6 * 2  # operations of a pair, over 2 layers of 4 heads of 6
    grown = 96 * rows[96]["flops_per_token"] - 48 * rows[48]["flops_per_token"] * 2
    assert grown == pytest.approx(each * (pairs[96] - 2 * pairs[48]))
    dense = cost_of("base", WholeReader(network_of(), 512), ground).rows[-1]
    tiles = 8 * 8 + 64 * 71 + 24 * 31  # what begins, and blocks of queries with the keys that they reach
    less = (96 * 96 - tiles) * each / 96
    assert dense["computed_flops_per_token"] - rows[96]["computed_flops_per_token"] == pytest.approx(less)
    assert rows[96]["cache_bytes_per_token"] == dense["cache_bytes_per_token"] * 7 / 96


@pytest.mark.parametrize("stride", [1, 5])
def test_the_truncated_subject_pays_a_pass_for_each_token_beyond_the_trained_length(
    stride: int, network: nn.Module, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "timed", lambda action, repeats, device: Timing(0.064, 0.032, 2))
    found = cost_of("truncated", TruncatedReader(network, 512, 32, stride), ground)
    rows = {row["length"]: row for row in found.rows}

    head = 2 * head_weights(network)
    body = (flops_per_token(network, 32) - head) * 32
    for length in (48, 96):
        passes, read = 1, 32
        while read < length:
            passes, read = passes + 1, read + stride
        row = rows[length]
        assert row["flops_per_token"] == pytest.approx((body * passes + head * length) / length)
        assert row["ms_per_token"] == pytest.approx(64 * passes / length)
        assert row["ms_per_token_least"] == pytest.approx(32 * passes / length)
        assert (row["decode_ms_per_token"], row["decode_ms_per_token_least"]) == (64, 32)
        assert row["peak_bytes"] == rows[32]["peak_bytes"]
        assert row["cache_bytes_per_token"] == 0
        assert "mask_density" not in row
    assert rows[32]["ms_per_token"] == 2
    assert rows[32]["cache_bytes_per_token"] == cache_bytes(network, 32) / 32
    assert "encoded anew" in reasons(found)["cost mask_density"]
    assert "encoded anew" in reasons(found)["cost exponent"]
    assert not any("exponent" in row for row in found.rows)
    check_rows("cost", found.rows)


def test_what_can_not_be_read_is_missing_with_its_reason(ground: Ground, network_of: Callable[..., nn.Module]) -> None:
    found = cost_of("base", WholeReader(network_of(position=Learned(48)), 512), ground)

    assert [row["length"] for row in found.rows] == [16, 32, 48]
    assert found.missing == [
        {"subject": "base", "what": "cost", "length": 96, "reason": "its positions end at 48 tokens"},
        {"subject": "base", "what": "cost exponent", "reason": reasons(found)["cost exponent"]},
    ]
    assert "3 lengths or more, the longest 4 times the shortest" in reasons(found)["cost exponent"]


def test_a_recurrent_network_has_costs_too_and_no_mask(ground: Ground, network_of: Callable[..., nn.Module]) -> None:
    found = cost_of("base", WholeReader(network_of(geometry=LstmGeometry(320, 8, 12, 1)), 512), ground)

    assert [row["cache_bytes_per_token"] * row["length"] for row in found.rows] == [96.0] * 4
    assert {row["flops_per_token"] for row in found.rows} == {row["computed_flops_per_token"] for row in found.rows}
    assert reasons(found).keys() - {"cost exponent"} == {"cost mask_density"}


def test_linear_attention_needs_the_same_at_every_length(ground: Ground, network_of: Callable[..., nn.Module]) -> None:
    found = cost_of("extended", WholeReader(network_of(attention=Linear()), 512), ground)
    assert len({row["flops_per_token"] for row in found.rows}) == 1


def test_times_are_those_of_a_row_and_of_its_last_tokens(
    network: nn.Module, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int, int]] = []
    real: Any = network.hidden

    def hidden(tokens: Tensor, positions: Tensor, documents: None = None, cache: Any = None) -> Tensor:
        asked.append((tokens.shape[1], int(positions[0, 0]), int(positions[0, -1])))
        read: Tensor = real(tokens, positions, documents, cache)
        return read

    monkeypatch.setattr(network, "hidden", hidden)
    ground.settings.lengths = [96]
    cost_of("base", WholeReader(network, 512), ground)

    counted, prefill = [(1, 0, 0)], [(96, 0, 95)]
    before, warm = [(28, 0, 27), (65, 28, 92)], [(1, 93, 93)]
    assert asked == [*counted, *prefill, *2 * prefill, *before, *warm, (1, 94, 94), (1, 95, 95)]


def test_a_row_of_two_tokens_is_timed_too(network: nn.Module) -> None:
    row = cost.cost_of_pass(network, torch.tensor([[3, 4]]), 5)
    assert row.keys() >= TIMES


def test_the_longest_row_says_how_time_grows() -> None:
    rows = [{"length": length, "ms_per_token": 0.1 * length} for length in (16, 32, 64)]
    assert cost.with_growth(rows) == {}
    assert ["exponent" in row for row in rows] == [False, False, True]
    assert (rows[-1]["exponent"], rows[-1]["r_squared"]) == (pytest.approx(2), pytest.approx(1))


def test_longer_texts_that_took_less_time_have_no_exponent() -> None:
    rows = [{"length": length, "ms_per_token": 1 / length**2} for length in (16, 32, 64)]
    assert cost.with_growth(rows) == {"exponent": "longer texts took less time, so that something else was timed"}
    assert "exponent" not in rows[-1]


def test_a_system_that_tells_no_peak_leaves_it_out(
    network: nn.Module, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "forget_peak", lambda device: False)
    found = cost_of("base", WholeReader(network, 512), ground)

    assert not any("peak_bytes" in row for row in found.rows)
    assert "peak" in reasons(found)["cost peak_bytes"]


def test_where_no_window_is_long_enough_the_row_is_of_the_corpus(ground: Ground, corpus: Corpus) -> None:
    assert row_of(ground, 20).tolist() == ground.windows.last(20)[:1].tolist()
    ground.windows.names.clear()
    size = len(corpus.tokens) + 3
    assert row_of(ground, size)[0].tolist() == [*corpus.tokens.tolist(), *corpus.tokens[:3].tolist()]
