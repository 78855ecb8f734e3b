import pytest
import torch

from ctxext.places import Places
from ctxext.position.learned import Learned, LearnedPart
from ctxext.refusal import Refusal
from ctxext.seams import Sizes

SIZES = Sizes(24, 2, 4, 2, 8)


def part(rows: int = 16) -> LearnedPart:
    torch.manual_seed(0)
    grown = Learned(rows).grown(SIZES, None)
    assert isinstance(grown, LearnedPart)
    return grown


def test_each_token_gains_the_row_of_its_position():
    learned, x = part(), torch.randn(2, 3, 24, generator=torch.Generator().manual_seed(1))
    positions = torch.tensor([[0, 5, 15], [7, 7, 0]])
    found = learned.embed(x, Places.of(positions))
    for row in range(2):
        for column in range(3):
            assert torch.equal(found[row, column], x[row, column] + learned.table[positions[row, column]])


def test_a_position_without_a_row_is_refused_by_a_sentence_that_names_the_way_out():
    learned = part()
    learned.embed(torch.zeros(1, 1, 24), Places.of(torch.tensor([[15]])))
    with pytest.raises(Refusal) as refused:
        learned.embed(torch.zeros(1, 2, 24), Places.of(torch.tensor([[0, 16]])))
    said = (
        "position=learned has rows for positions below 16, and a text reaches position 16; use position=learned_interp"
    )
    assert str(refused.value) == said


def test_rows_begin_small_and_different_and_are_all_that_is_learned():
    table = part(2000).table
    assert table.std().item() == pytest.approx(0.02, rel=0.05)
    assert list(part().state_dict()) == ["table"]


def test_it_states_its_limit_and_that_labels_may_not_shift():
    assert (Learned(16).limit(), Learned(16).period()) == (16, 0)
    assert Learned(16).base() == Learned(16)


def test_a_table_without_rows_is_refused():
    with pytest.raises(Refusal, match=r"position\.num_positions must be above 0, got 0"):
        Learned(0)
