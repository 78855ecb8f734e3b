import math

import numpy as np
import pytest
import torch

from ctxext.maths import rotary


def turned_to(heads, positions, frequencies, amplitude: float):
    """Return `heads` turned to `positions`."""
    return rotary.turn(heads, rotary.waves(positions, frequencies, amplitude, heads.dtype))


def test_frequencies_fall_from_1_by_the_same_ratio_from_pair_to_pair():
    golden = [1, 0.1, 0.01, 0.001, 0.000177828]
    found = rotary.frequencies(10000.0, 32)
    assert found.shape == (16,)
    torch.testing.assert_close(found[[0, 4, 8, 12, 15]], torch.tensor(golden), rtol=1e-5, atol=0)
    assert found.sum().item() == pytest.approx(2.284657, rel=1e-5)


def test_ntk_theta_has_the_golden_value_and_is_the_same_at_factor_1():
    assert rotary.ntk_theta(10000.0, 4.0, 32) == pytest.approx(43872.99918, rel=1e-9)
    assert rotary.ntk_theta(10000.0, 1.0, 32) == 10000.0


@pytest.mark.parametrize(
    ("length", "width", "low", "high"),
    [
        (64, 16, -0.994, 2.016),
        (128, 16, -0.392, 2.618),
        (128, 32, -0.784, 5.236),
        (256, 32, 0.420, 6.440),
        (256, 64, 0.839, 12.880),
        (2048, 128, 16.128, 40.210),
    ],
)
def test_pairs_of_32_turns_and_of_1_turn_are_where_the_table_says(length, width, low, high):
    assert rotary.pair_of_turns(32, 10000.0, width, length) == pytest.approx(low, abs=5e-4)
    assert rotary.pair_of_turns(1, 10000.0, width, length) == pytest.approx(high, abs=5e-4)


def test_a_pair_found_by_its_turns_makes_these_turns():
    pair = rotary.pair_of_turns(5, 500.0, 32, 300)
    assert 300 * 500.0 ** (-2 * pair / 32) / (2 * math.pi) == pytest.approx(5)


def test_the_ramp_is_0_for_fast_pairs_and_1_for_slow_ones_and_straight_between():
    ramp = rotary.ramp(32, 1, 10000.0, 32, 256)  # from pair 0 to pair 7
    meant = [min(pair / 7, 1) for pair in range(16)]
    torch.testing.assert_close(ramp, torch.tensor(meant), rtol=1e-6, atol=1e-7)
    ramp = rotary.ramp(8, 0.5, 10000.0, 32, 256)  # from pair 2 to pair 8
    torch.testing.assert_close(
        ramp[:9], torch.tensor([0, 0, 0, 1 / 6, 2 / 6, 0.5, 4 / 6, 5 / 6, 1]), rtol=1e-6, atol=1e-7
    )


def test_an_empty_ramp_is_a_step():
    assert rotary.ramp(32, 10.5, 10000.0, 16, 64).tolist() == [0.0] + [1.0] * 7


def test_heads_turn_by_angles_that_are_right_at_position_100000():
    frequencies = rotary.frequencies(10000.0, 32)
    heads = torch.randn(1, 1, 3, 32, generator=torch.Generator().manual_seed(0))
    positions = [99_999, 100_000, 99_001]
    found = turned_to(heads, torch.tensor([positions]), frequencies, 1.0)[0, 0].double().numpy()
    pairs = heads[0, 0, :, :16].double().numpy() + 1j * heads[0, 0, :, 16:].double().numpy()
    turned = pairs * np.exp(1j * np.outer(positions, frequencies.double().numpy()))
    # A float32 angle of 1e5 radians is off by up to 1e5 x 2^-24 = 0.006, times a head's size of up to 3.
    np.testing.assert_allclose(found[:, :16], turned.real, atol=0.02)
    np.testing.assert_allclose(found[:, 16:], turned.imag, atol=0.02)


def test_angles_keep_single_precision_under_autocast_and_in_bfloat16_heads():
    heads = torch.ones(1, 1, 1, 8)
    positions, frequencies = torch.tensor([[4097]]), rotary.frequencies(10000.0, 8)
    exact = turned_to(heads, positions, frequencies, 1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(turned_to(heads, positions, frequencies, 1.0), exact)
    rounded = turned_to(heads.bfloat16(), positions, frequencies, 1.0)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, rtol=0, atol=0.02)


def test_turning_keeps_the_norm_and_the_amplitude_scales_it():
    heads, positions = torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(1)), torch.arange(5).expand(2, 5)
    for amplitude in (1.0, 1.3):
        turned = turned_to(heads, positions, rotary.frequencies(100.0, 8), amplitude)
        torch.testing.assert_close(turned.norm(dim=-1), amplitude * heads.norm(dim=-1))


def test_halves_and_neighbours_agree_after_the_permutation_of_checkpoints():
    heads, positions = torch.randn(1, 1, 6, 8, generator=torch.Generator().manual_seed(2)), torch.arange(6)[None]
    frequencies = rotary.frequencies(100.0, 8)
    neighbours = [0, 4, 1, 5, 2, 6, 3, 7]  # pair (2i, 2i + 1) of an interleaved head is pair (i, i + D/2) of ours
    interleaved = heads[..., neighbours]
    angles = positions[0, :, None] * frequencies
    even, odd = interleaved[..., 0::2], interleaved[..., 1::2]
    turned = torch.empty_like(interleaved)
    turned[..., 0::2] = even * angles.cos() - odd * angles.sin()
    turned[..., 1::2] = odd * angles.cos() + even * angles.sin()
    torch.testing.assert_close(turned_to(heads, positions, frequencies, 1.0)[..., neighbours], turned)


def test_yarn_s_factors_are_what_its_blend_divides_by():
    found = rotary.yarn_factors(10000.0, 4.0, 32, 256, 32, 1)
    shares = [min(pair / 7, 1) for pair in range(16)]
    assert found == pytest.approx([1 / (share / 4 + 1 - share) for share in shares], rel=1e-6)
    assert (found[0], found[-1]) == (1, 4)


def test_pairs_may_stand_at_positions_of_their_own():
    heads, frequencies = torch.randn(1, 2, 3, 4, generator=torch.Generator().manual_seed(3)), torch.tensor([1.0, 0.1])
    own = torch.tensor([[[5, 2], [6, 2], [0, 3]]])
    turned = turned_to(heads, own, frequencies, 1.0)
    for pair in range(2):
        alone = turned_to(heads, own[..., pair], frequencies, 1.0)
        assert torch.equal(turned[..., [pair, pair + 2]], alone[..., [pair, pair + 2]])


def test_the_gradient_of_turning_is_that_of_the_formula():
    heads, gradient = torch.randn(2, 2, 3, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    by = rotary.waves(torch.tensor([[0, 3, 9, 2, 70]]).expand(2, 5), rotary.frequencies(100.0, 8), 1.3, torch.float64)
    heads.requires_grad_()
    rotary.turn(heads, by).backward(gradient)
    numbers = torch.view_as_complex(torch.stack(gradient.chunk(2, dim=-1), dim=-1))
    back = numbers * torch.complex(by.cosine, -by.sine)
    torch.testing.assert_close(heads.grad, torch.cat((back.real, back.imag), dim=-1))
    plain = torch.autograd.gradcheck(lambda leaf: rotary.turn(leaf, by), heads)
    assert plain


def test_turning_means_the_same_where_a_compiler_writes_it(monkeypatch):
    heads = torch.randn(1, 2, 5, 8, generator=torch.Generator().manual_seed(4))
    by = rotary.waves(torch.arange(5)[None], rotary.frequencies(100.0, 8), 1.0, heads.dtype)
    eager = rotary.turn(heads, by)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(rotary.turn(heads, by), eager)
