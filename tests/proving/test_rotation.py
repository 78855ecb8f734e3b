"""Angles that were rounded, and scalings that aren't, are found from the hooks alone."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.maths import rotary
from ctxext.model.families import Smollm3Geometry
from ctxext.places import Places
from ctxext.position.alibi import Alibi
from ctxext.position.llama3 import Llama3
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope, RopeByParts, RopeInterp, RopeNtk, Yarn, cached_frequencies
from ctxext.position.sinusoidal import Sinusoidal
from ctxext.proving.rotation import angles_of, frequencies, overrides, phases, place, turned
from ctxext.proving.specimen import specimen

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


class OwnInterp(RopeInterp):
    """A class of the user's own."""


class OwnNtk(RopeNtk):
    """Another one."""


class OwnYarn(Yarn):
    """Another one."""


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
    for position in (OwnInterp(10000.0, 4.0), OwnNtk(10000.0, 4.0), OwnYarn(**YARN)):
        found = frequencies(examined(position=position))
        assert (found.holds, round(found.measured, 4)) == (True, 0.25)
        assert found.words.endswith("your own class, held against a rule alone")


def test_what_turns_nothing_or_scales_nothing_of_its_own_says_so(examined):
    found = frequencies(examined(position=Alibi()))
    assert (found.holds, found.words) == (None, "positions turn no heads")
    assert frequencies(examined(position=FromScratch(10000.0))).holds is None


@pytest.fixture
def sabotaged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that replaces an attribute of a rotary class, with no frequencies kept from before or left."""
    cached_frequencies.cache_clear()
    yield monkeypatch.setattr
    cached_frequencies.cache_clear()


def test_an_amplitude_that_is_dropped_fails_the_frequencies_alone(failing, sabotaged):
    sabotaged(Yarn, "amplitude", 1.0)
    assert failing(position=Yarn(**YARN)) == {"frequencies"}


def test_keys_without_the_amplitude_of_queries_fail_the_frequencies_alone(failing, sabotaged):
    sabotaged(Yarn, "rotate_keys", lambda self, heads, places: Rope.rotate(self, heads, places) / self.amplitude)
    assert failing(position=Yarn(**YARN)) == {"frequencies"}


def test_a_ramp_that_is_ignored_fails_the_frequencies_alone(failing, sabotaged):
    sabotaged(Yarn, "frequencies", lambda self, width: Rope.frequencies(self, width) / self.factor)
    assert failing(position=Yarn(**YARN)) == {"frequencies"}


def test_a_blend_of_yarn_itself_that_is_inverted_fails_the_frequencies_alone(failing, sabotaged):
    by_parts = RopeByParts.frequencies

    def inverted(self: Yarn, width: int) -> Tensor:
        base = Rope.frequencies(self, width)
        return base if self.factor == 1 else base * (base / self.factor) / by_parts(self, width)

    sabotaged(Yarn, "frequencies", inverted)
    assert failing(position=Yarn(**YARN)) == {"frequencies"}


def test_bands_that_are_swapped_fail_the_frequencies_alone(failing, sabotaged):
    def swapped(self: Llama3, width: int) -> Tensor:
        base, low, high = Rope.frequencies(self, width), self.low_freq_factor, self.high_freq_factor
        kept = ((self.original_max_position_embeddings * base / (2 * torch.pi) - high) / (low - high)).clamp(0, 1)
        return base if self.factor == 1 else (1 - kept) * base / self.factor + kept * base

    sabotaged(Llama3, "frequencies", swapped)
    assert failing(position=Llama3(10000.0, 4.0, 16, 0.1, 2.0)) == {"frequencies"}


def test_every_position_that_is_an_option_turns_heads_by_its_formula(each_position, examined):
    found = frequencies(examined(position=each_position))
    turns = overrides(each_position, "rotate")
    assert (found.holds, turns) in ((True, True), (None, False))
    assert "held against the formula" in found.words or not turns


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
    torch.testing.assert_close(angles_of(at_one, 8), rotary.frequencies(10000.0, 8).double(), rtol=1e-6, atol=0)
    mixed = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)).double())[0]
    assert angles_of(mixed, 8) is None


def test_layers_that_a_body_leaves_unturned_are_held_against_the_body(monkeypatch):
    geometry = Smollm3Geometry(67, 24, 40, 2, 4, 2, 8, True, 1e-5, no_rope_layers=(1, 0))
    members = Rope(10000.0), IntraDocument(), Softmax()
    assert frequencies(specimen(geometry.build(*members), members, 16, 64)).holds is True
    monkeypatch.setattr(Smollm3Geometry, "position_of", lambda self, index, position: position)
    assert frequencies(specimen(geometry.build(*members), members, 16, 64)).holds is False
