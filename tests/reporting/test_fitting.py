import io

import pytest
from rich.console import Console

from ctxext.reporting.block import Block
from ctxext.reporting.fitting import WITHOUT, Fitting, bare, split

VALUES = ["44.63±0.08", "44.27±0.06", "0.97\n.91-1.00", "43.93±0.10", "45.86±0.10"]
BLOCK = Block("T", "", ["", "128", "256", "512", "1024*", "2048"], [["A rope_interp", *VALUES]], 3, "a foot")


def printed(width):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(Fitting(BLOCK))
    return console.file.getvalue()


def test_where_there_is_room_all_is_shown():
    text = printed(100)
    assert "44.63±0.08" in text
    assert ".91-1.00" in text
    assert "|" in text
    assert WITHOUT not in text


def test_on_a_narrow_console_the_deviations_go_first_and_are_told_of():
    text = printed(70)
    assert len([line for line in text.splitlines() if "A rope_interp" in line]) == 1
    assert "±" not in text
    assert ".91" not in text
    assert WITHOUT in " ".join(text.split())


@pytest.mark.parametrize("width", [30, 40, 50])
def test_on_a_narrower_one_the_table_is_split_and_no_number_is_cut(width):
    text = printed(width)
    assert len([line for line in text.splitlines() if "A rope_interp" in line]) > 1
    assert all(value[:4] in text for value in VALUES)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_parts_have_every_column_once_and_those_beyond_stay_so(count):
    parts = split(BLOCK, count)
    assert [name for part in parts for name in part.header[1:]] == BLOCK.header[1:]
    assert [cell for part in parts for cell in part.rows[0][1:]] == VALUES
    assert sum(part.beyond for part in parts) == 3
    assert all(part.rows[0][0] == "A rope_interp" for part in parts)


def test_a_block_of_bare_values_stays_as_it_is():
    block = Block("T", "", ["", "128"], [["A", "1.00"]])
    assert bare(block) is block
