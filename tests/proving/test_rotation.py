"""Angles that were rounded, and scalings that aren't, are found from the hooks alone."""

import torch
from torch import Tensor

from ctxext.maths import rotary
from ctxext.position.alibi import Alibi
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope, RopeInterp, RopeNtk, Yarn
from ctxext.position.sinusoidal import Sinusoidal
from ctxext.proving.rotation import angles_of, frequencies, phases, place, turned
from ctxext.seams import Places

YARN = {
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 16,
    "beta_fast": 2.0,
    "beta_slow": 0.2,
    "attention_factor": 1.1,
}


class Inverted(Yarn):
    """Interpolates the fast pairs and keeps the slow ones."""

    def frequencies(self, width: int) -> Tensor:
        base = Rope.frequencies(self, width)
        return base if self.factor == 1 else base * (base / self.factor) / super().frequencies(width)


class AmplitudeAlone(Yarn):
    """Sharpens logits, and forgets the factor."""

    def frequencies(self, width: int) -> Tensor:
        return Rope.frequencies(self, width)


class Halved(RopeInterp):
    """Interpolates by half of the factor."""

    def frequencies(self, width: int) -> Tensor:
        return Rope.frequencies(self, width) / (1.0 if self.factor == 1 else self.factor / 2)


class FromScratch(Rope):
    """Extends no other encoding."""

    def base(self) -> Rope:
        return self


class RoundedPositions(FromScratch):
    """Holds positions in bfloat16, which is exact up to 256."""

    def rotate(self, heads: Tensor, places: Places) -> Tensor:
        return super().rotate(heads, places.at(places.positions.bfloat16().float()))


class Cast(FromScratch):
    """Makes its angles by a product that autocast rounds."""

    def rotate(self, heads: Tensor, places: Places) -> Tensor:
        angles = places.positions.float()[..., None] @ self.frequencies(heads.shape[-1])[None, None]
        cosine, sine = angles.float().cos()[:, None], angles.float().sin()[:, None]
        first, second = heads.chunk(2, dim=-1)
        return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


def test_an_inverted_blend_fails_the_frequencies_alone(failing):
    assert failing(position=Inverted(**YARN)) == {"frequencies"}


def test_a_factor_that_reaches_the_logits_alone_or_by_half_fails_the_frequencies_alone(failing):
    assert failing(position=AmplitudeAlone(**YARN)) == {"frequencies"}
    assert failing(position=Halved(10000.0, 4.0)) == {"frequencies"}


def test_published_scalings_are_told_with_what_the_pairs_keep(examined):
    for position in (RopeInterp(10000.0, 4.0), RopeNtk(10000.0, 4.0), Yarn(**YARN)):
        found = frequencies(examined(position=position))
        assert (found.holds, round(found.measured, 4)) == (True, 0.25)
    assert frequencies(examined()).holds is None
    assert frequencies(examined(position=Alibi())).holds is None


def test_positions_in_bfloat16_fail_the_phases_alone(failing):
    assert failing(position=RoundedPositions(10000.0)) == {"phases"}


def test_angles_that_autocast_rounds_fail_the_phases_alone(failing):
    assert failing(position=Cast(10000.0)) == {"phases"}


def test_phases_are_exact_where_there_are_any(examined):
    for position in (Rope(10000.0), Yarn(**YARN)):
        found = phases(examined(position=position))
        assert found.holds is True
        assert found.measured < 0.01
    assert phases(examined(position=Sinusoidal(10000.0))).holds is True
    assert phases(examined(position=Nope())).holds is None


def test_a_bias_that_autocast_rounds_fails(examined):
    class Coarse(Alibi):
        def bias(self, queries: Places, keys: Places, num_heads: int) -> Tensor:
            exact = super().bias(queries, keys, num_heads)
            return exact.bfloat16() if torch.is_autocast_enabled("cpu") else exact

    found = phases(examined(position=Coarse()))
    assert (found.holds, "the bias" in found.words) == (False, True)


def test_angles_are_read_off_the_hook():
    at_one = turned(Rope(10000.0).rotate, 8, place(1, 32, torch.device("cpu")))
    torch.testing.assert_close(angles_of(at_one), rotary.frequencies(10000.0, 8).double(), rtol=1e-6, atol=0)
    mixed = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)).double())[0]
    assert angles_of(mixed) is None
