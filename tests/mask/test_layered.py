import pytest

from ctxext.mask.chunked import Chunked
from ctxext.mask.document import IntraDocument
from ctxext.mask.layered import Layered
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.refusal import Refusal

GEMMA = Layered(pattern="SSSSSL", window=8, last_window=8, schedule="constant")


def layers(mask: Layered, count: int) -> list:
    return [mask.layer(index, count) for index in range(count)]


def windows(mask: Layered, count: int) -> list[int]:
    return [layer.window for layer in layers(mask, count) if isinstance(layer, SlidingWindow)]


@pytest.mark.parametrize("count", [6, 13, 26, 62])
def test_the_pattern_of_gemma_3_is_that_of_its_class(count):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.Gemma3TextConfig(num_hidden_layers=count).layer_types
    ours = ["full_attention" if layer == IntraDocument() else "sliding_attention" for layer in layers(GEMMA, count)]
    assert ours == theirs


def test_a_letter_stands_for_a_window_a_chunk_or_a_long_layer():
    mask = Layered("CSL", 8, 8, "constant")
    assert layers(mask, 5) == [Chunked(8), SlidingWindow(8), IntraDocument(), Chunked(8), SlidingWindow(8)]


@pytest.mark.parametrize(("count", "letters"), [(1, "L"), (2, "SL"), (4, "SSSL"), (6, "SSSSSL"), (8, "SSSSSLSS")])
def test_fewer_layers_than_letters_take_the_last_ones(count, letters):
    assert GEMMA.letters(count) == letters


@pytest.mark.parametrize(
    ("mask", "count", "expected"),
    [
        (Layered("S", 10, 10, "constant"), 3, [10, 10, 10]),
        (Layered("S", 10, 40, "linear"), 4, [10, 20, 30, 40]),
        (Layered("S", 10, 80, "geometric"), 4, [10, 20, 40, 80]),
        (Layered("SL", 10, 40, "geometric"), 6, [10, 20, 40]),
        (Layered("SL", 10, 40, "linear"), 2, [10]),
        (Layered("S", 100, 200, "geometric"), 3, [100, 141, 200]),
    ],
)
def test_windows_grow_with_depth_by_equal_steps_or_factors(mask, count, expected):
    assert windows(mask, count) == expected


def test_it_is_off_where_every_window_holds_the_text():
    off = Layered("SCL", 4, 16, "geometric").off(50)
    assert layers(off, 3) == [SlidingWindow(50), Chunked(50), IntraDocument()]
    assert off.base() == IntraDocument()


def test_a_schedule_is_all_that_must_be_typed(built):
    assert built("mask=layered").mask == Layered("SSSSSL", 256, 256, "constant")
    assert built("mask=layered", "mask.schedule=geometric").mask == Layered("SSSSSL", 256, 1024, "geometric")


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (("SXL", 8, 8, "constant"), r"mask\.pattern must be letters out of S, C and L, such as SSSSSL, got 'SXL'"),
        (("", 8, 8, "constant"), r"mask\.pattern must be letters"),
        (("SL", 0, 0, "constant"), r"mask\.window must be at least 1 token, got 0"),
        (("SL", 8, 16, "constant"), r"mask\.schedule=constant needs mask\.last_window equal to mask\.window=8, got 16"),
        (("SL", 8, 8, "linear"), r"mask\.schedule=linear needs mask\.last_window above mask\.window=8, got 8"),
        (("SL", 8, 16, "rising"), r"mask\.schedule must be constant, linear or geometric, got 'rising'"),
    ],
)
def test_an_impossible_choice_is_refused(values, rule):
    with pytest.raises(Refusal, match=rule):
        Layered(*values)
