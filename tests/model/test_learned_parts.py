"""What a member of a seam learns: a module that the decoder owns once, and that readings share or grow anew."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry
from ctxext.places import Places
from ctxext.position.rope import Rope
from ctxext.seams import Position, Sizes

GEOMETRY = DecoderGeometry(67, 24, 40, 2, 4, 2, 8, True, 1e-5)


@dataclass(frozen=True)
class Tilt(Position):
    """A learned slope for each head and layer."""

    start: float

    def grown(self, sizes: Sizes, before: Position | None) -> Position:
        return TiltPart(self.start, sizes)


class TiltPart(nn.Module, Position):
    def __init__(self, start: float, sizes: Sizes) -> None:
        super().__init__()
        self.tilts = nn.ParameterList(
            torch.full((sizes.num_attention_heads,), start) for _ in range(sizes.num_hidden_layers)
        )

    def layer(self, index: int, count: int) -> Position:
        return TiltOfLayer(self.tilts[index])

    def penalty(self) -> Tensor:
        return sum(slope.square().sum() for slope in self.tilts)  # type: ignore[return-value]


@dataclass(frozen=True)
class TiltOfLayer(Position):
    slope: Tensor

    def bias(self, queries: Places, keys: Places, num_heads: int) -> Tensor:
        gap = (queries.positions[:, None, :, None] - keys.positions[:, None, None, :]).float()
        return -self.slope[:, None, None] * gap


def built(position: Position) -> Decoder:
    torch.manual_seed(0)
    network = GEOMETRY.build(position, IntraDocument(), Softmax())
    assert isinstance(network, Decoder)
    return network


def hidden(network: Decoder) -> Tensor:
    ids = torch.arange(30)[None]
    return network.hidden(ids, ids)


def test_parts_are_named_below_learned_and_stand_once_in_the_state_dict():
    names = [name for name in built(Tilt(0.1)).state_dict() if "learned" in name]
    assert names == ["learned.position.tilts.0", "learned.position.tilts.1"]
    assert not any("learned" in name for name in built(Rope(1e4)).state_dict())


def test_a_reading_through_equal_settings_shares_the_parts():
    network = built(Tilt(0.1))
    other = network.reading(Tilt(0.1), IntraDocument(), Softmax())
    assert other.learned["position"] is network.learned["position"]


def test_a_reading_through_other_settings_grows_parts_that_the_first_does_not_get():
    network = built(Rope(1e4))
    before = hidden(network)
    other = network.reading(Tilt(0.1), IntraDocument(), Softmax())
    assert set(other.state_dict()) - set(network.state_dict()) == {f"learned.position.tilts.{i}" for i in range(2)}
    assert not torch.equal(hidden(other), before)
    assert torch.equal(hidden(network), before)


def test_gradients_reach_the_parts_and_penalties_add_up():
    network = built(Tilt(0.5))
    hidden(network).sin().sum().backward()
    assert all(slope.grad.any() for slope in network.learned["position"].parameters())
    assert network.penalty().item() == 2 * 4 * 0.25
    assert built(Rope(1e4)).penalty() is None


@pytest.mark.parametrize("slot", ["position", "mask", "attention"])
def test_every_learned_tensor_is_a_parameter_that_the_optimiser_will_see(slot, members_of):
    # A module that is a dataclass without fields too equals all of its kind, and parameters() leaves equals out.
    for name, member in members_of(slot).items():
        seams = {"position": Rope(1e4), "mask": IntraDocument(), "attention": Softmax(), slot: member}
        network = GEOMETRY.build(**seams).train()
        learned = [key for key in network.state_dict() if key.startswith("learned.")]
        assert len(list(network.learned.parameters())) == len(learned), name
        ids, penalty = torch.arange(16)[None], network.penalty()
        (network.hidden(ids, ids).sin().sum() + (0 if penalty is None else penalty)).backward()
        without = [key for key, value in network.named_parameters() if key in learned and value.grad is None]
        assert not without, f"{name}: {without}"
