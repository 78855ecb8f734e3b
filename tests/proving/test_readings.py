"""Readings that must agree are told from those that don't; what is declared isn't held against a method."""

from dataclasses import dataclass, replace

import pytest
from torch import Tensor

from ctxext.attention.log_n import LogN
from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softmax import Softmax
from ctxext.model.cache import DecoderCache, LayerCache
from ctxext.model.decoder import Decoder
from ctxext.places import Places
from ctxext.position.rope import Rope, RopeInterp
from ctxext.position.sinusoidal import Sinusoidal
from ctxext.proving.readings import cache, effect, neutral, prefix, rows, shift
from ctxext.seams import Heads, Mask, Position, View


class Ignored(RopeInterp):
    """Takes a factor, and turns heads as without it."""

    def frequencies(self, width: int) -> Tensor:
        return Rope.frequencies(self, width)


class Rounded(RopeInterp):
    """Isn't quite its base at factor 1."""

    def frequencies(self, width: int) -> Tensor:
        return super().frequencies(width) * 1.000001


class Fixed(Rope):
    """Says that labels may not be shifted, though they may."""

    def base(self) -> Rope:
        return self

    def period(self) -> int:
        return 0


@dataclass(frozen=True)
class ByPosition(Softmax):
    """Sharpens logits by the position, and doesn't say so."""

    def scale(self, queries: Places, keys: Places, views: tuple[View, ...]) -> Tensor:
        return 1 + queries.positions[:, None] / 100


@dataclass(frozen=True)
class ByLength(Softmax):
    """Sharpens logits by the length of the text, and says so or not."""

    says: bool

    def scale(self, queries: Places, keys: Places, views: tuple[View, ...]) -> Tensor:
        return 1 + (queries.lengths[:, None] - 16).clamp(min=0) / 100

    def keeps_prefix(self) -> bool:
        return not self.says


@dataclass(frozen=True)
class Averaging(Softmax):
    """Mixes the rows of a batch."""

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        found = super().gather(heads, queries, keys, position, mask)
        return found + found.mean(dim=0, keepdim=True)


def test_keys_that_were_turned_before_they_were_kept_fail_the_cache_alone(failing, monkeypatch):
    keep = LayerCache.extend

    def keep_turned(self: LayerCache, new: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Keep keys that are turned already, so that attention turns them again."""
        key, *others = new
        here = self.keys.part(self.keys.size - key.shape[2], self.keys.size)
        return keep(self, (Rope(10000.0).rotate(key, here), *others))

    monkeypatch.setattr(Decoder, "new_cache", lambda self: DecoderCache())
    monkeypatch.setattr(LayerCache, "extend", keep_turned)
    assert failing() == {"cache"}


def test_a_factor_that_is_ignored_fails_the_effect_alone(failing):
    assert failing(position=Ignored(10000.0, 4.0)) == {"effect"}


def test_a_neutral_setting_that_rounds_otherwise_fails_neutral_alone(failing):
    assert failing(position=Rounded(10000.0, 4.0)) == {"neutral"}


def test_rows_that_are_mixed_fail_rows_alone(failing):
    assert failing(attention=Averaging()) == {"rows"}


def test_a_period_that_is_not_true_fails_the_shift_alone(failing):
    assert failing(attention=ByPosition()) == {"shift"}
    assert failing(position=Fixed(10000.0)) == {"shift"}


def test_a_past_that_changes_with_the_length_fails_the_prefix_and_what_rests_on_it(failing):
    assert failing(attention=ByLength(says=False)) == {"prefix", "cache"}


def test_a_past_that_changes_as_declared_is_read_in_parts_up_to_the_trained_length(examined):
    declared = examined(attention=ByLength(says=True))
    assert prefix(declared).holds is None
    assert prefix(declared).measured > 1e-3
    assert cache(declared).holds is True
    assert "up to the trained length of 16 tokens" in cache(declared).words


def test_absolute_positions_may_not_be_shifted_and_that_is_shown(examined):
    found = shift(examined(position=Sinusoidal(10000.0)))
    assert (found.holds, found.measured > 0.1) == (None, True)


def test_a_period_is_shown_from_both_sides(examined):
    found = shift(examined(attention=SelfExtend(8, 4)))
    assert found.holds is True
    assert "multiples of 4" in found.words


@pytest.mark.parametrize("member", [{}, {"position": RopeInterp(10000.0, 1.0)}, {"attention": SelfExtend(8, 1)}])
def test_what_is_set_to_do_nothing_is_not_asked_for_an_effect(member, examined):
    assert effect(examined(**member)).holds is None


def test_a_network_that_is_its_own_base_is_not_said_to_be_trained_with_it(examined):
    words = {effect(examined()).words, neutral(examined()).words}
    assert words == {"position, mask and attention are those of its base: no other reading to compare with"}


def test_no_effect_is_concluded_from_texts_that_are_too_short(examined):
    found = effect(examined(attention=LogN(40)).shortened(32, 1.0))
    assert (found.holds, "longer texts take too much time" in found.words) == (None, True)


def test_an_effect_that_begins_later_is_looked_for_up_to_the_target(examined):
    found = effect(replace(examined(attention=LogN(40)), target_length=64))
    assert (found.holds, "at 64 tokens" in found.words) == (True, True)


def test_neutral_is_shown_to_the_bit_where_there_is_a_neutral_setting(examined):
    assert neutral(examined(attention=LogN(16))).holds is True
    assert neutral(examined()).holds is None


def test_rows_agree_for_the_untouched_model(examined):
    assert rows(examined()).holds is True
