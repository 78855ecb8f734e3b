"""What the rotary family has in common: golden frequencies, those of transformers, exact phases, distances alone."""

import math
from random import Random

import numpy as np
import pytest
import torch
from torch import Tensor

from ctxext.maths.amplitude import longrope_attention_factor, yarn_attention_factor
from ctxext.places import Places
from ctxext.position.clipped import ClippedRope
from ctxext.position.dynamic import DynamicYarn, RopeDynamicNtk
from ctxext.position.llama3 import Llama3
from ctxext.position.longrope import LongRope
from ctxext.position.partial import PartialRope, PRope
from ctxext.position.resonance import ResonanceRope
from ctxext.position.rope import Rope, RopeAbf, RopeByParts, RopeInterp, RopeNtk, Yarn
from ctxext.position.rope_nope import RopeNope

D, PAIRS, THETA, L = 32, range(16), 1e4, 256
PICKED = [0, 4, 8, 12, 15]
A4 = 0.1 * math.log(4) + 1


def powers(theta: float) -> list[float]:
    """Return theta^(-2i / D) in double precision."""
    return [theta ** (-2 * i / D) for i in PAIRS]


PLAIN = powers(THETA)


def blended(low: int, high: int) -> list[float]:
    """Return YaRN's frequencies at factor 4 with a ramp from pair `low` to pair `high`."""
    shares = [min(max((i - low) / (high - low), 0), 1) for i in PAIRS]
    return [w / 4 * share + w * (1 - share) for w, share in zip(PLAIN, shares, strict=True)]


def by_wavelength(w: float) -> float:
    """Return Llama 3's frequency at factor 8, low 1 and high 4."""
    wavelength = 2 * math.pi / w
    if wavelength > L:
        return w / 8
    if wavelength < L / 4:
        return w
    kept = (L / wavelength - 1) / 3
    return (1 - kept) * w / 8 + kept * w


def tapered(i: int) -> float:
    """Return how much of its frequency pair i keeps when the last five are tapered."""
    return 1 if i < 11 else 0.5 * (1 + math.cos(math.pi * (i - 11) / 4))


LONG = LongRope(THETA, 4, L, (1.0,) * 16, tuple(1 + i / 4 for i in PAIRS), longrope_attention_factor(4, L))
GOLDEN: dict[str, tuple[Rope, float, list[float], list[float], float]] = {
    "rope": (Rope(THETA), 1, PLAIN, [1, 0.1, 0.01, 0.001, 0.000177828], 2.284657),
    "rope_interp": (
        RopeInterp(THETA, 4),
        1,
        [w / 4 for w in PLAIN],
        [0.25, 0.025, 0.0025, 0.00025, 4.4457e-05],
        0.5711643,
    ),
    "rope_ntk": (
        RopeNtk(THETA, 4),
        1,
        powers(THETA * 4 ** (32 / 30)),
        [1, 0.0690956, 0.00477421, 0.000329877, 4.4457e-05],
        2.052074,
    ),
    "rope_dynamic_ntk": (
        RopeDynamicNtk(THETA, 4, L).at(1024),
        1,
        powers(THETA * 13 ** (32 / 30)),
        [1, 0.0504601, 0.00254623, 0.000128483, 1.36791e-05],
        1.900966,
    ),
    "rope_by_parts": (
        RopeByParts(THETA, 4, L, 32, 1),
        1,
        blended(0, 7),
        [1, 0.0571429, 0.0025, 0.00025, 4.4457e-05],
        1.97587,
    ),
    "yarn": (
        Yarn(THETA, 4, L, 32, 1, A4),
        1.138629,
        blended(0, 7),
        [1, 0.0571429, 0.0025, 0.00025, 4.4457e-05],
        1.97587,
    ),
    "yarn 8/0.5": (
        Yarn(THETA, 4, L, 8, 0.5, A4),
        1.138629,
        blended(2, 8),
        [1, 0.075, 0.0025, 0.00025, 4.4457e-05],
        2.17245,
    ),
    "dynamic_yarn": (
        DynamicYarn(THETA, L, 32, 1).at(1024),
        1.138629,
        blended(0, 7),
        [1, 0.0571429, 0.0025, 0.00025, 4.4457e-05],
        1.97587,
    ),
    "llama3": (
        Llama3(THETA, 8, L, 1, 4),
        1,
        [by_wavelength(w) for w in PLAIN],
        [1, 0.1, 0.00125, 0.000125, 2.22285e-05],
        2.196267,
    ),
    "longrope": (
        LONG.at(1024),
        1.118034,
        [w / (1 + i / 4) for i, w in enumerate(PLAIN)],
        [1, 0.05, 0.00333333, 0.00025, 3.74375e-05],
        1.863347,
    ),
    "p_rope": (
        PRope(THETA, 0.25),
        1,
        [w if i < 4 else 0 for i, w in enumerate(PLAIN)],
        [1, 0, 0, 0, 0],
        2.056397,
    ),
    "resonance_rope": (
        ResonanceRope(THETA, 1, L, 32, 1, 1),
        1,
        [2 * math.pi / round(2 * math.pi / w) for w in PLAIN],
        [1.0472, 0.0997331, 0.0100051, 0.00100003, 0.000177828],
        2.339908,
    ),
    "clipped_rope": (
        ClippedRope(THETA, 0.3125),
        1,
        [w * tapered(i) for i, w in enumerate(PLAIN)],
        [1, 0.1, 0.01, 0.000853553, 0],
        2.283782,
    ),
    "rope_abf": (
        RopeAbf(THETA, 5e5),
        1,
        powers(5e5),
        [1, 0.037606, 0.00141421, 5.3183e-05, 4.54167e-06],
        1.78688,
    ),
}


@pytest.mark.parametrize(("encoding", "amplitude", "exact", "picked", "total"), GOLDEN.values(), ids=GOLDEN.keys())
def test_frequencies_have_the_golden_values(encoding, amplitude, exact, picked, total):
    frequencies = encoding.frequencies(D).double()
    torch.testing.assert_close(frequencies, torch.tensor(exact, dtype=torch.float64), rtol=1e-6, atol=1e-20)
    assert frequencies[PICKED].tolist() == pytest.approx(picked, rel=1e-5)
    assert frequencies.sum().item() == pytest.approx(total, rel=1e-6)
    assert encoding.amplitude == pytest.approx(amplitude, rel=1e-6)


def test_partial_rotation_has_the_golden_values_of_a_narrower_head():
    frequencies = PartialRope(THETA, 0.25).frequencies(D)
    assert frequencies.tolist() == pytest.approx([1, 0.1, 0.01, 0.001], rel=1e-6)
    assert frequencies.sum().item() == pytest.approx(1.111, rel=1e-6)


def transformers_frequencies(kind: str, width: int, limit: int, length: int, **parameters) -> tuple[Tensor, float]:
    """Return frequencies and amplitude of transformers for `length` tokens; `limit` is the configuration's."""
    transformers = pytest.importorskip("transformers")
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    config = transformers.LlamaConfig(
        hidden_size=2 * width,
        num_attention_heads=2,
        head_dim=width,
        max_position_embeddings=limit,
        rope_parameters={"rope_type": kind} | parameters,
    )
    return ROPE_INIT_FUNCTIONS[kind](config, "cpu", seq_len=length)


KINDS = ("linear", "dynamic", "yarn", "by parts", "longrope", "llama3", "proportional")


def both(kind: str, draw: Random) -> tuple[Rope, int, tuple[Tensor, float]]:
    """Return our encoding of `kind` with settings drawn by `draw`, the width of a head, and what transformers has."""
    width, trained = 2 * draw.randint(2, 128), draw.randint(32, 10_000)
    theta, factor = 10 ** draw.uniform(3, 7), draw.choice([1.0, 2.0, 4.0, 8.0, draw.uniform(1, 32)])
    length, limit = draw.randint(1, 40 * trained), round(trained * factor)
    common = {"rope_theta": theta, "factor": factor}
    trained_at = {"original_max_position_embeddings": trained}
    if kind == "linear":
        return RopeInterp(theta, factor), width, transformers_frequencies(kind, width, limit, length, **common)
    if kind == "dynamic":
        theirs = transformers_frequencies(kind, width, trained, length, **common)
        return RopeDynamicNtk(theta, factor, trained).at(length), width, theirs
    if kind in ("yarn", "by parts"):
        fast, slow = draw.uniform(4, 64), draw.uniform(0.1, 3)
        if kind == "yarn":
            ours: Rope = Yarn(theta, factor, trained, fast, slow, yarn_attention_factor(factor))
            fixed = {}
        else:
            ours, fixed = RopeByParts(theta, factor, trained, fast, slow), {"attention_factor": 1.0}
        betas = {"beta_fast": fast, "beta_slow": slow} | fixed
        return ours, width, transformers_frequencies("yarn", width, limit, length, **common, **trained_at, **betas)
    if kind == "longrope":
        short, long = ([draw.uniform(1, 40) for _ in range(width // 2)] for _ in range(2))
        lists = {"short_factor": short, "long_factor": long}
        theirs = transformers_frequencies(kind, width, limit, length, **common, **trained_at, **lists)
        sharpness = longrope_attention_factor(factor, trained)
        return LongRope(theta, factor, trained, tuple(short), tuple(long), sharpness).at(length), width, theirs
    if kind == "llama3":
        low = draw.uniform(0.2, 4)
        high = low + draw.uniform(0.1, 8)
        bands = {"low_freq_factor": low, "high_freq_factor": high}
        theirs = transformers_frequencies(kind, width, limit, length, **common, **trained_at, **bands)
        return Llama3(theta, factor, trained, low, high), width, theirs
    share = draw.uniform(2 / width, 1)
    theirs = transformers_frequencies(kind, width, limit, length, rope_theta=theta, partial_rotary_factor=share)
    return PRope(theta, share), width, theirs


@pytest.mark.parametrize("kind", KINDS)
def test_frequencies_and_amplitudes_are_those_of_transformers_over_a_sweep(kind):
    draw = Random(kind)
    for _ in range(30):
        ours, width, (frequencies, amplitude) = both(kind, draw)
        torch.testing.assert_close(ours.frequencies(width), frequencies, rtol=1e-6, atol=0)
        assert ours.amplitude == pytest.approx(amplitude, rel=1e-6), ours


MEMBERS = {name: encoding for name, (encoding, *_) in GOLDEN.items()} | {"rope_nope": RopeNope(THETA, 4)}


def at(*positions: int) -> Places:
    return Places.of(torch.tensor([positions]))


@pytest.mark.parametrize("encoding", MEMBERS.values(), ids=MEMBERS.keys())
def test_phases_are_right_at_position_100000(encoding):
    frequencies = encoding.frequencies(D).double().numpy()
    heads, places = torch.ones(1, 1, 3, D), at(99_001, 99_999, 100_000)
    lengths = torch.full_like(places.lengths, 1024)  # as if it stood in a text beyond the trained length
    found = encoding.rotate(heads, places._replace(lengths=lengths, size=1024))[0, 0].double().numpy()
    turned = encoding.amplitude * (1 + 1j) * np.exp(1j * np.outer([99_001, 99_999, 100_000], frequencies))
    # A float32 angle of 1e5 radians is off by up to 1e5 x 2^-24 = 0.006.
    np.testing.assert_allclose(found, np.concatenate([turned.real, turned.imag], axis=1), atol=0.012)


@pytest.mark.parametrize("encoding", MEMBERS.values(), ids=MEMBERS.keys())
def test_turning_multiplies_the_norm_by_the_amplitude_alone(encoding):
    heads = torch.randn(2, 3, 5, D, generator=torch.Generator().manual_seed(0))
    turned = encoding.rotate(heads, Places.of(torch.arange(5).expand(2, 5)))
    torch.testing.assert_close(turned.norm(dim=-1), encoding.amplitude * heads.norm(dim=-1))


@pytest.mark.parametrize("encoding", MEMBERS.values(), ids=MEMBERS.keys())
def test_a_score_depends_on_the_distance_alone(encoding):
    draw = torch.Generator().manual_seed(1)
    q, k = torch.randn(1, 1, 1, D, generator=draw), torch.randn(1, 1, 1, D, generator=draw)
    scores = [
        (encoding.rotate(q, at(place + 9)) * encoding.rotate_keys(k, at(place))).sum().item()
        for place in (0, 1000, 100_000)
    ]
    assert scores == pytest.approx([scores[0]] * 3, abs=0.06)
    assert scores[0] != pytest.approx((encoding.rotate(q, at(8)) * encoding.rotate_keys(k, at(0))).sum().item())
