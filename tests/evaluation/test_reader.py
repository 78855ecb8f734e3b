"""Both ways of reading equal brute force, one token at a time."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from ctxext.data.corpus import Corpus
from ctxext.evaluation.reader import TruncatedReader, WholeReader, batches, scores
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import LstmGeometry, VanillaGeometry
from ctxext.position.alibi import Alibi
from ctxext.position.rope import Yarn
from ctxext.position.sinusoidal import Sinusoidal

TRAINED, SCORED = 32, 10
Oracle = Callable[[nn.Module, Tensor, int, int], tuple[Tensor, Tensor]]


@pytest.fixture(scope="module")
def windows(corpus: Corpus) -> Tensor:
    """The last 96 tokens of the longer documents."""
    rows = [corpus.document(index)[-97:-1].astype("int64") for index in range(len(corpus))]
    return torch.stack([torch.from_numpy(row) for row in rows if len(row) == 96][:3])


def close(found: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(
        found[0].double(), wanted[0], atol=1e-6, rtol=1e-6
    )  # a unit in the last place of an nll of 8 is 5e-7
    assert torch.equal(found[1], wanted[1])


@pytest.mark.parametrize("length", [11, 16, 32, 33, 37, 96])
@pytest.mark.parametrize("batch_tokens", [1, 100, 100_000])
def test_a_whole_reader_equals_brute_force(
    length: int, batch_tokens: int, network: nn.Module, windows: Tensor, oracle: Oracle
) -> None:
    rows = windows[:, -length:]

    close(WholeReader(network, batch_tokens).score(rows, SCORED), oracle(network, rows, SCORED, length))


@pytest.mark.parametrize("length", [11, 16, 31, 32, 33, 37, 41, 42, 43, 96])
@pytest.mark.parametrize("batch_tokens", [1, 100, 100_000])
def test_a_truncated_reader_equals_brute_force(
    length: int, batch_tokens: int, network: nn.Module, windows: Tensor, oracle: Oracle
) -> None:
    rows = windows[:, -length:]

    close(
        TruncatedReader(network, batch_tokens, TRAINED, 1).score(rows, SCORED), oracle(network, rows, SCORED, TRAINED)
    )


def test_other_networks_are_read_right(network_of: Callable[..., nn.Module], windows: Tensor, oracle: Oracle) -> None:
    networks = [
        network_of(Yarn(10000.0, 3.0, 32, 32.0, 1.0, 1.1)),
        network_of(Alibi(), SlidingWindow(9)),
        network_of(Sinusoidal(10000.0), geometry=VanillaGeometry(320, 24, 32, 2, 4, 1e-5)),
        network_of(geometry=LstmGeometry(320, 12, 24, 2)),
    ]
    for other in networks:
        close(WholeReader(other, 200).score(windows[:, -60:], 7), oracle(other, windows[:, -60:], 7, 60))
        close(TruncatedReader(other, 200, 16, 1).score(windows[:, -60:], 7), oracle(other, windows[:, -60:], 7, 16))


@pytest.mark.parametrize("length", [11, 20, 32])
def test_the_truncated_base_is_the_base_up_to_the_trained_length(
    length: int, network: nn.Module, windows: Tensor
) -> None:
    rows = windows[:, -length:]
    whole = WholeReader(network, 100).score(rows, SCORED)
    truncated = TruncatedReader(network, 100, TRAINED, 1).score(rows, SCORED)

    assert torch.equal(whole[0], truncated[0])
    assert torch.equal(whole[1], truncated[1])


@pytest.mark.parametrize("stride", [1, 3, 4, 10])
@pytest.mark.parametrize("length", [11, 31, 33, 37, 41, 42, 96])
@pytest.mark.parametrize("batch_tokens", [100])
def test_a_pass_for_many_targets_equals_brute_force(
    length: int, stride: int, batch_tokens: int, network: nn.Module, windows: Tensor, oracle: Oracle
) -> None:
    rows, places = windows[:, -length:], range(length - SCORED, length)
    alone = max(length - SCORED, TRAINED)  # from here on not all before a target is seen
    lasts = [min(alone + (place - alone) // stride * stride + stride, length) - 1 for place in places]
    seen = [TRAINED - (last - place) if place >= alone else place for place, last in zip(places, lasts, strict=True)]
    parts = [oracle(network, rows[:, : place + 1], 1, sight) for place, sight in zip(places, seen, strict=True)]

    found = TruncatedReader(network, batch_tokens, TRAINED, stride).score(rows, SCORED)

    close(found, (torch.cat([nll for nll, _ in parts], 1), torch.cat([hit for _, hit in parts], 1)))
    if length == 96:
        assert (min(seen), max(seen)) == (TRAINED - stride + 1, TRAINED)


def test_with_stride_1_each_target_is_scored_by_a_pass_of_its_own_bit_for_bit(
    network: nn.Module, windows: Tensor
) -> None:
    nll, _ = TruncatedReader(network, 1, TRAINED, 1).score(windows, SCORED)

    for row, window in enumerate(windows):
        for column, place in enumerate(range(96 - SCORED, 96)):
            context = window[None, place - TRAINED : place]
            last = network.hidden(context, torch.arange(TRAINED)[None])[:, -1:]  # type: ignore[operator]
            assert torch.equal(scores(network, last, window[None, place, None])[0][0, 0], nll[row, column])


@pytest.mark.parametrize("stride", [3, 10])
def test_a_stride_spares_passes_and_leaves_the_constant_constant(
    stride: int, network: nn.Module, windows: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = TruncatedReader(network, 1, TRAINED, stride)
    constant = reader.score(windows[:, -42:], SCORED)[0]
    assert torch.equal(reader.score(windows, SCORED)[0], constant)
    calls: list[int] = []
    hidden: Callable[[Tensor, Tensor], Tensor] = network.hidden  # type: ignore[assignment]
    monkeypatch.setattr(network, "hidden", lambda *words: (calls.append(1), hidden(*words))[1], raising=False)

    reader.score(windows, SCORED)

    assert len(calls) == len(windows) * -(-SCORED // stride)


def test_the_truncated_base_is_constant_once_no_scored_token_sees_the_window(
    network: nn.Module, windows: Tensor
) -> None:
    reader = TruncatedReader(network, 100, TRAINED, 1)
    constant = reader.score(windows[:, -42:], SCORED)[0]

    for length in (43, 60, 96):
        assert torch.equal(reader.score(windows[:, -length:], SCORED)[0], constant)
        assert reader.sight(length, SCORED) == reader.sight(42, SCORED) == 42
    assert not torch.equal(reader.score(windows[:, -41:], SCORED)[0], constant)
    assert not torch.equal(WholeReader(network, 100).score(windows, SCORED)[0], constant)
    assert WholeReader(network, 100).sight(96, SCORED) == 96


def test_no_pass_holds_more_tokens_than_it_may(
    network: nn.Module, windows: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    hidden = network.hidden

    def counted(tokens: Tensor, positions: Tensor) -> Tensor:
        sizes.append(tokens.numel())
        answer: Tensor = hidden(tokens, positions)  # type: ignore[operator]
        return answer

    monkeypatch.setattr(network, "hidden", counted, raising=False)
    TruncatedReader(network, 200, TRAINED, 1).score(windows, SCORED)
    WholeReader(network, 200).score(windows, SCORED)

    assert max(sizes) <= 200
    assert sizes.count(6 * TRAINED) == 5


@pytest.mark.parametrize("chunk", [7, 16, 94])
def test_a_long_row_is_read_in_pieces_and_scored_as_in_one_pass(
    chunk: int, network_of: Callable[..., nn.Module], windows: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in (network_of(mask=SlidingWindow(9)), network_of(geometry=LstmGeometry(320, 12, 24, 2))):
        exact = WholeReader(deepcopy(other).double(), 200)
        places = torch.tensor([[1, 7, 8, 40], [16, 17, 94, 95], [2, 93, 50, 3]])
        whole = [exact.score(windows, scored) for scored in (1, SCORED, 95)] + [exact.score_at(windows, places)]
        monkeypatch.setattr("ctxext.evaluation.reader.CHUNK", chunk)
        sizes = watched(exact.model, monkeypatch)
        pieces = [exact.score(windows, scored) for scored in (1, SCORED, 95)] + [exact.score_at(windows, places)]
        monkeypatch.undo()

        assert max(sizes) == chunk
        for (nll, hit), (wanted, wanted_hit) in zip(pieces, whole, strict=True):
            torch.testing.assert_close(nll, wanted, atol=1e-12, rtol=1e-12)
            assert torch.equal(hit, wanted_hit)


def test_sparse_places_of_the_truncated_base_are_scored_as_each_alone_and_in_few_passes(
    network: nn.Module, windows: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = torch.tensor([[1, 7, 31, 32], [33, 50, 94, 95], [2, 93, 50, 3]])
    truncated = TruncatedReader(network, 1000, TRAINED, 1)
    alone = [
        truncated.score(windows[row : row + 1, : place + 1], 1)
        for row, some in enumerate(places.tolist())
        for place in some
    ]
    sizes = watched(network, monkeypatch)

    nll, hit = truncated.score_at(windows, places)

    torch.testing.assert_close(nll.flatten(), torch.cat([nll for nll, _ in alone])[:, 0], atol=1e-5, rtol=1e-5)
    assert torch.equal(hit.flatten(), torch.cat([hit for _, hit in alone])[:, 0])
    assert len(sizes) == 2  # the windows' beginnings, and the seven places behind them


def watched(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the tokens of a row of each pass of `network`."""
    sizes: list[int] = []
    hidden: Callable[..., Tensor] = network.hidden  # type: ignore[assignment]

    def counted(tokens: Tensor, positions: Tensor, **others: object) -> Tensor:
        sizes.append(tokens.shape[1])
        return hidden(tokens, positions, **others)

    monkeypatch.setattr(network, "hidden", counted, raising=False)
    return sizes


def test_the_future_is_not_read(network: nn.Module, windows: Tensor) -> None:
    other = windows.clone()
    other[:, -3:] = 7
    for reader in (WholeReader(network, 500), TruncatedReader(network, 500, TRAINED, 1)):
        assert torch.equal(reader.score(windows, SCORED)[0][:, :-3], reader.score(other, SCORED)[0][:, :-3])


def test_logits_that_are_not_finite_are_an_error(network_of: Callable[..., nn.Module], windows: Tensor) -> None:
    broken = network_of()
    with torch.no_grad():
        next(broken.parameters())[3] = float("nan")
    for reader in (WholeReader(broken, 500), TruncatedReader(broken, 500, TRAINED, 1)):
        with pytest.raises(FloatingPointError, match="not finite"):
            reader.score(windows, SCORED)


def test_a_prompt_is_read_whole_or_its_end_with_room_for_the_answer(network: nn.Module) -> None:
    tokens = list(range(100))

    assert WholeReader(network, 1).prompt(tokens, 7) == tokens
    assert TruncatedReader(network, 1, TRAINED, 1).prompt(tokens, 7) == tokens[75:]
    assert TruncatedReader(network, 1, TRAINED, 1).prompt(tokens[:25], 7) == tokens[:25]


@pytest.mark.parametrize("size", [0, 1, 3, 10, 11])
def test_runs_are_the_whole_in_order(size: int) -> None:
    runs = list(batches(range(10), size))

    assert [item for run in runs for item in run] == list(range(10))
    assert max(map(len, runs)) <= max(1, size)
