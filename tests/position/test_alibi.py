import torch

from ctxext.places import Places
from ctxext.position.alibi import Alibi, slopes


def test_slopes_of_8_heads_halve_from_one_half():
    assert slopes(8) == [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]


def test_slopes_of_6_heads_are_those_of_4_and_every_other_one_of_8():
    assert slopes(6) == [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8]


def test_any_number_of_heads_has_as_many_different_slopes_between_0_and_1():
    for heads in range(1, 40):
        assert len(set(slopes(heads))) == heads
        assert all(0 < slope < 1 for slope in slopes(heads))


def test_the_bias_is_minus_the_slope_times_the_distance_exactly():
    distances = [0, 1, 127, 128, 257, 10_000]
    bias = Alibi().bias(Places.of(torch.tensor([[10_000]])), Places.of(10_000 - torch.tensor([distances])), 8)
    assert bias.shape == (1, 8, 1, 6)
    assert bias.dtype == torch.float32
    for head, slope in enumerate(slopes(8)):
        assert bias[0, head, 0].tolist() == [-slope * distance for distance in distances]


def test_the_bias_stays_in_single_precision_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        bias = Alibi().bias(Places.of(torch.tensor([[301]])), Places.of(torch.tensor([[0, 1]])), 1)
    assert bias.flatten().tolist() == [-301 / 256, -300 / 256]


def test_it_neither_turns_nor_embeds():
    heads, embeddings, places = torch.randn(1, 2, 3, 4), torch.randn(1, 3, 8), Places.of(torch.arange(3)[None])
    assert Alibi().rotate(heads, places) is heads
    assert Alibi().embed(embeddings, places) is embeddings
