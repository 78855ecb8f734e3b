import math

import pytest
import torch

from ctxext.places import Places
from ctxext.position.t5_bias import T5Bias, T5BiasPart, edges
from ctxext.refusal import Refusal
from ctxext.seams import Sizes

SIZES = Sizes(24, 2, 4, 2, 8)
GOLDEN = {0: 0, 15: 15, 16: 16, 18: 16, 19: 17, 24: 19, 32: 21, 64: 26, 100: 30, 112: 30, 113: 31, 128: 31, 1000: 31}


def at(positions: list[int]) -> Places:
    return Places.of(torch.tensor([positions]))


def part(settings: T5Bias) -> T5BiasPart:
    torch.manual_seed(0)
    grown = settings.grown(SIZES, None)
    assert isinstance(grown, T5BiasPart)
    return grown


def bucket(distance: int) -> int:
    return sum(distance >= first for first in edges(32, 128))


def test_buckets_have_the_golden_values():
    assert {distance: bucket(distance) for distance in GOLDEN} == GOLDEN


def test_a_bucket_begins_where_the_formula_of_the_paper_reaches_it():
    assert edges(32, 128)[:16] == list(range(1, 17))
    for bucket, first in enumerate(edges(32, 128)[16:], start=17):
        reached = [16 + 16 * math.log(distance / 16) / math.log(128 / 16) for distance in (first - 1, first)]
        assert reached[0] < bucket <= reached[1] + 1e-9


def test_buckets_are_those_of_transformers():
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
    gaps = torch.arange(2000)
    meant = t5.T5Attention._relative_position_bucket(-gaps, bidirectional=False, num_buckets=32, max_distance=128)
    assert [bucket(int(gap)) for gap in gaps] == meant.tolist()


def test_an_edge_on_a_power_is_not_missed_by_rounding():
    # 4 81^(1/4) is 12, which a logarithm in floating point may put below 12.
    assert edges(8, 4 * 3**4)[4:] == [12, 36, 108]


def test_each_head_adds_the_number_of_its_bucket():
    learned = part(T5Bias(32, 128))
    distances = [0, 1, 15, 16, 127, 128, 10_000]
    bias = learned.bias(at([10_000]), at([10_000 - distance for distance in distances]), 4)
    assert bias.shape == (1, 4, 1, 7)
    assert bias.dtype == torch.float32
    for head in range(4):
        wanted = [learned.table[bucket(distance), head].item() for distance in distances]
        assert bias[0, head, 0].tolist() == wanted


def test_each_row_has_positions_of_its_own():
    learned = part(T5Bias(8, 16))
    packed = Places.of(torch.tensor([[0, 5], [0, 1]]))
    bias = learned.bias(packed, packed, 4)
    assert bias[0, :, 1, 0].tolist() == learned.table[4].tolist()
    assert bias[1, :, 1, 0].tolist() == learned.table[1].tolist()


def test_all_layers_share_one_table_that_stands_alone_in_the_state_dict():
    learned = part(T5Bias(32, 128))
    assert learned.layer(0, 2) is learned.layer(1, 2) is learned
    assert {name: tuple(tensor.shape) for name, tensor in learned.state_dict().items()} == {"table": (32, 4)}


def test_it_neither_turns_nor_embeds_and_stays_in_single_precision_under_autocast():
    learned, heads, places = part(T5Bias(32, 128)), torch.randn(1, 4, 3, 8), at([0, 1, 2])
    assert learned.rotate(heads, places) is heads
    assert learned.embed(heads, places) is heads
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert learned.bias(places, places, 4).dtype == torch.float32


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ((0, 128), "position.num_buckets must be even and at least 2, got 0"),
        ((31, 128), "position.num_buckets must be even and at least 2, got 31"),
        ((32, 16), "position.max_distance must be above half of position.num_buckets=32, got 16"),
        ((32, 64.5), "position.max_distance must be a whole number, got 64.5"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings, sentence):
    with pytest.raises(Refusal) as refused:
        T5Bias(*settings)
    assert str(refused.value) == sentence
