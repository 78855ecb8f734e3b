"""A text read piece by piece has the states that it has in one pass, and no pass holds more than a piece."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from ctxext.attention.linear import Linear
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import DecoderGeometry, LstmGeometry
from ctxext.model.pieces import keeps_prefix, pieces, through
from ctxext.position.alibi import Alibi
from ctxext.position.dynamic import RopeDynamicNtk
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope

SIZE = 90
DENSE = (Rope(10000.0), IntraDocument(), Softmax())
SEAMS = [
    (Rope(10000.0), SlidingWindow(17), Softmax()),
    (Rope(10000.0), Sinks(12, 3), Softmax()),
    (Alibi(), SlidingWindow(17), Softmax()),
    (Nope(), IntraDocument(), Linear()),
]


def network_of(*seams: object) -> nn.Module:
    torch.manual_seed(0)
    if not seams:
        return LstmGeometry(50, 12, 24, 2).build(Rope(10000.0), IntraDocument(), Softmax()).double().eval()
    network = DecoderGeometry(50, 24, 32, 3, 4, 2, 6, True, 1e-5).build(*seams).double().eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.4)
    return network


def tokens() -> Tensor:
    return torch.randint(0, 50, (2, SIZE), generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("size", [7, 32, 89])
@pytest.mark.parametrize("seams", [*SEAMS, ()], ids=lambda seams: "-".join(type(member).__name__ for member in seams))
def test_pieces_have_the_states_of_one_pass(seams: tuple[object, ...], size: int) -> None:
    network, ids = network_of(*seams), tokens()
    whole = network.hidden(ids, torch.arange(SIZE).expand(2, -1))  # type: ignore[operator]

    found = list(pieces(network, ids, size))

    assert [start for start, _ in found] == list(range(0, SIZE, size))
    assert max(hidden.shape[1] for _, hidden in found) == size
    most = 1e-5 if any(isinstance(seam, Alibi) for seam in seams) else 1e-12  # biases are float32
    torch.testing.assert_close(torch.cat([hidden for _, hidden in found], dim=1), whole, atol=most, rtol=most)


def test_a_text_that_fits_is_read_in_one_pass_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    network, ids = network_of(*SEAMS[0]), tokens()
    monkeypatch.delattr(type(network), "new_cache")
    whole = network.hidden(ids, torch.arange(SIZE).expand(2, -1))  # type: ignore[operator]

    ((start, hidden),) = pieces(network, ids, SIZE)

    assert start == 0
    assert torch.equal(hidden, whole)


def test_what_more_text_would_change_is_read_at_once() -> None:
    network = network_of(RopeDynamicNtk(10000.0, 4.0, 32), IntraDocument(), Softmax())

    assert not keeps_prefix(network)
    assert [hidden.shape[1] for _, hidden in pieces(network, tokens(), 7)] == [SIZE]
    assert all(keeps_prefix(network_of(*seams)) for seams in [*SEAMS, ()])


def test_what_a_cache_would_keep_whole_is_read_at_once() -> None:
    assert [hidden.shape[1] for _, hidden in pieces(network_of(*DENSE), tokens(), 7)] == [SIZE]


@pytest.mark.parametrize("seams", [DENSE, SEAMS[0]])
def test_a_cache_that_has_tokens_goes_on_behind_them(seams: tuple[object, ...]) -> None:
    network, ids = network_of(*seams), tokens()
    whole = network.hidden(ids, torch.arange(SIZE).expand(2, -1))  # type: ignore[operator]
    cache = network.new_cache()  # type: ignore[operator]
    for _ in through(network, cache, ids[:, :40], 16):
        pass

    found = [hidden for _, hidden in through(network, cache, ids[:, 40:], 16, 40)]

    torch.testing.assert_close(torch.cat(found, dim=1), whole[:, 40:], atol=1e-12, rtol=1e-12)
