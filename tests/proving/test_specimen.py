"""What is examined: shared weights that stay as they are, and learned parts that were moved."""

import pytest
import torch
from torch import Tensor, nn

from ctxext.model.geometry import LstmGeometry
from ctxext.places import Places
from ctxext.position.rope import RopeInterp
from ctxext.proving.specimen import difference, specimen
from ctxext.seams import Attention, Heads, Mask, Position, Sizes


class Gate(Attention):
    """Learns a factor that begins at 0, so that nothing passes."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def grown(self, sizes: Sizes, before: Attention | None) -> Attention:
        return GatePart()


class GatePart(nn.Module, Attention):
    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(1))

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        return heads.q * self.gate


def test_it_reads_beyond_the_trained_length_on_the_weights_themselves(examined):
    found = examined(position=RopeInterp(10000.0, 4.0))
    assert (found.length, found.trained_length, found.target_length) == (32, 16, 64)
    assert found.extends
    assert not examined().extends
    pairs = zip(found.network.parameters(), found.base.parameters(), strict=True)
    assert all(mine is theirs for mine, theirs in pairs)


def test_a_network_given_is_left_as_it_is_and_learned_parts_are_moved_in_a_copy(examined):
    base = examined(attention=Gate()).base
    base.learned["attention"].gate.data.zero_()
    before = base.training, torch.get_rng_state()
    found = specimen(base, (base.position, base.mask, base.attention), 16, 64)
    assert (base.training, base.learned["attention"].gate.item()) == (before[0], 0)
    assert torch.equal(torch.get_rng_state(), before[1])
    assert found.network.learned["attention"].gate.item() != 0
    assert found.network.embed_tokens.weight is base.embed_tokens.weight


def test_the_network_stands_in_training_only_while_asked(examined):
    found = examined()
    with found.training("training"):
        assert found.network.training
    assert not found.network.training


def test_a_recurrent_network_has_no_heads():
    network = LstmGeometry(67, 8, 12, 1).build(Position(), Mask(), Attention())
    found = specimen(network, (Position(), Mask(), Attention()), 16, 64)
    assert not found.has_heads
    assert not found.extends
    assert found.modes == ("",)
    assert found.read(found.network, found.tokens(5)).shape == (1, 5, 12)


def test_a_difference_is_over_the_root_mean_square_and_infinite_without_numbers():
    expected = torch.tensor([[3.0, -3.0]])
    assert difference(expected + 0.3, expected) == pytest.approx(0.1)
    assert difference(expected * torch.nan, expected) == float("inf")
