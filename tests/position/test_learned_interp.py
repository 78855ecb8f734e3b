import pytest
import torch
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.places import Places
from ctxext.position.learned import Learned
from ctxext.position.learned_interp import LearnedInterp
from ctxext.refusal import Refusal
from ctxext.seams import Sizes

SIZES = Sizes(24, 2, 4, 2, 8)
GEOMETRY = DecoderGeometry(67, 24, 40, 2, 4, 2, 8, True, 1e-5)


def added(settings: LearnedInterp | Learned, positions: list[int]) -> tuple[Tensor, Tensor]:
    """The table, and what tokens at `positions` gain."""
    torch.manual_seed(0)
    part = settings.grown(SIZES, None)
    return part.table, part.embed(torch.zeros(1, len(positions), 24), Places.of(torch.tensor([positions])))[0]


@pytest.mark.parametrize(("rows", "length"), [(16, 64), (16, 17), (5, 101), (1, 9), (2, 3)])
def test_every_position_has_its_place_between_two_rows(rows, length):
    table, found = added(LearnedInterp(rows, length), list(range(length)))
    grid = table.detach().double().T[None]
    meant = torch.nn.functional.interpolate(grid, length, mode="linear", align_corners=True)[0].T
    torch.testing.assert_close(found.double(), meant, rtol=0, atol=1e-6)


def test_the_ends_are_aligned_to_the_bit():
    table, found = added(LearnedInterp(16, 1000), [0, 999])
    assert torch.equal(found[0], table[0])
    assert torch.equal(found[1], table[15])


@pytest.mark.parametrize("length", [1, 2, 16, 257])
def test_at_the_trained_length_it_is_the_base_to_the_bit(length):
    table, found = added(LearnedInterp(length, length), list(range(length)))
    assert torch.equal(found, table)
    assert LearnedInterp(length, 4 * length).off(99) == LearnedInterp(length, length)


def test_a_position_depends_on_the_target_length_and_not_on_the_text_s():
    _, long = added(LearnedInterp(16, 64), list(range(60)))
    _, short = added(LearnedInterp(16, 64), list(range(20)))
    assert torch.equal(long[:20], short)


def test_a_position_beyond_the_target_is_refused():
    added(LearnedInterp(16, 64), [63])
    with pytest.raises(
        Refusal, match=r"positions below 64, and a text reaches position 64; choose a larger context_len"
    ):
        added(LearnedInterp(16, 64), [64])


def test_it_shares_the_table_of_its_base_under_the_same_name():
    base = GEOMETRY.build(Learned(16), IntraDocument(), Softmax())
    method = base.reading(LearnedInterp(16, 64), IntraDocument(), Softmax())
    assert method.learned["position"].table is base.learned["position"].table
    assert list(method.state_dict()) == list(base.state_dict())
    longer = method.reading(LearnedInterp(16, 99), IntraDocument(), Softmax())
    assert longer.learned["position"].table is base.learned["position"].table
    fresh = GEOMETRY.build(LearnedInterp(16, 64), IntraDocument(), Softmax())
    fresh.load_state_dict(method.state_dict())
    assert torch.equal(fresh.learned["position"].table, base.learned["position"].table)


def test_another_base_or_another_number_of_rows_begins_anew():
    base = GEOMETRY.build(Learned(16), IntraDocument(), Softmax())
    method = base.reading(LearnedInterp(8, 64), IntraDocument(), Softmax())
    assert method.learned["position"].table.shape == (8, 24)


def test_what_it_states_of_itself():
    settings = LearnedInterp(16, 64)
    assert (settings.base(), settings.limit(), settings.period()) == (Learned(16), 64, 0)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ((0, 64), "position.num_positions must be above 0, got 0"),
        ((16, 15), "position.context_length must be at least position.num_positions=16, got 15; use position=learned"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings, sentence):
    with pytest.raises(Refusal) as refused:
        LearnedInterp(*settings)
    assert str(refused.value) == sentence
