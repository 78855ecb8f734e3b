"""By which angle and amplitude each pair of a head is turned, by the published formulas in double precision.

Shapes: P pairs of a head of width D, fastest first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ctxext.proving.known import formula_of
from ctxext.proving.turning import Rates, Turning

Layer = tuple[int, int]
"""The index of a layer, and of how many."""
Formula = Callable[[Any, int, int, Layer], Turning]
"""From settings, head width, text length and layer to how pairs turn."""


def turning(position: object, width: int, length: int, layer: Layer) -> Turning | None:
    """Return how the formula of `position` turns heads of `width` in a text of `length`; None where there is none."""
    formula = formula_of(position, FORMULAS)
    return None if formula is None else formula(position, width, length, layer)


def in_body(geometry: object, width: int, layer: Layer) -> Turning | None:
    """Return how the body of `geometry` turns heads of `width`, whatever was chosen; None where it leaves that open."""
    formula = formula_of(geometry, BODIES)
    return None if formula is None else formula(geometry, width, layer)


def rates_of(theta: float, width: int) -> Rates:
    """Return theta^(-2 i / width)."""
    return [theta ** (-2 * pair / width) for pair in range(width // 2)]


def plain(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return the turning by theta^(-2i / d)."""
    return Turning(rates_of(settings.rope_theta, width), width)


def interpolated(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return the turning by w / s."""
    return Turning([rate / settings.factor for rate in rates_of(settings.rope_theta, width)], width)


def ntk(theta: float, factor: float, width: int) -> Turning:
    """Return the turning by theta' = theta s^(d / (d - 2))."""
    return Turning(rates_of(theta * factor ** (width / (width - 2)), width), width)


def dynamic_ntk(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return the NTK-aware turning by max(s T / L - (s - 1), 1) at T tokens."""
    stretch = settings.factor * length / settings.original_max_position_embeddings - (settings.factor - 1)
    return ntk(settings.rope_theta, max(stretch, 1.0), width)


def parts(settings: Any, width: int, factor: float, sharpness: float) -> Turning:
    """Return the turning by w / s ramp + w (1 - ramp), over the pairs that turn beta_fast to beta_slow times."""

    def pair(turns: float) -> float:
        trained = settings.original_max_position_embeddings
        return width * math.log(trained / (2 * math.pi * turns)) / (2 * math.log(settings.rope_theta))

    low = max(math.floor(pair(settings.beta_fast)), 0)
    high: float = min(math.ceil(pair(settings.beta_slow)), width - 1)
    high += 0.001 * (high == low)
    ramp = [min(max((index - low) / (high - low), 0.0), 1.0) for index in range(width // 2)]
    rates = [w / factor * r + w * (1 - r) for w, r in zip(rates_of(settings.rope_theta, width), ramp, strict=True)]
    return Turning(rates, width, sharpness**2)


def by_parts(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return NTK-by-parts."""
    return parts(settings, width, settings.factor, 1.0)


def yarn(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return NTK-by-parts with heads multiplied by the attention factor."""
    return parts(settings, width, settings.factor, settings.attention_factor)


def dynamic_yarn(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return YaRN by max(T / L, 1) at T tokens, its sharpness by this number too."""
    factor = max(1.0, length / settings.original_max_position_embeddings)
    return parts(settings, width, factor, 0.1 * math.log(factor) + 1)


def resonance(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return YaRN's turning with wavelengths rounded to tokens, either way where float32 can't tell."""
    exact = yarn(settings, width, length, layer)
    lower, upper = (
        [2 * math.pi / max(1, round(2 * math.pi / rate * (1 + error))) for rate in exact.rates]
        for error in (-2e-6, 2e-6)
    )
    return replace(exact, rates=lower, others=upper)


def longrope(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return the turning by w_i over a number for each pair, short ones up to L tokens and long ones beyond."""
    numbers = settings.short_factor if length <= settings.original_max_position_embeddings else settings.long_factor
    rates = [rate / number for rate, number in zip(rates_of(settings.rope_theta, width), numbers, strict=True)]
    return Turning(rates, width, settings.attention_factor**2)


def llama3(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return the turning by the bands of wavelengths above L / low, below L / high, and between."""
    rates, trained = [], settings.original_max_position_embeddings
    for rate in rates_of(settings.rope_theta, width):
        wavelength = 2 * math.pi / rate
        if wavelength > trained / settings.low_freq_factor:
            rates.append(rate / settings.factor)
        elif wavelength < trained / settings.high_freq_factor:
            rates.append(rate)
        else:
            t = (trained / wavelength - settings.low_freq_factor) / (
                settings.high_freq_factor - settings.low_freq_factor
            )
            rates.append((1 - t) * rate / settings.factor + t * rate)
    return Turning(rates, width)


def adjusted(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return the turning by the adjusted theta."""
    return Turning(rates_of(settings.adjusted_theta, width), width)


def partial(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return the turning of the first dimensions, as of a head of that width."""
    rotated = round(settings.partial_rotary_factor * width)
    return Turning(rates_of(settings.rope_theta, rotated), rotated)


def proportional(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return the turning of the fastest pairs alone, by the rates of the whole head."""
    kept = math.floor(settings.partial_rotary_factor * width / 2)
    rates = rates_of(settings.rope_theta, width)
    return Turning(rates[:kept] + [0.0] * (len(rates) - kept), width)


def clipped(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return the turning whose last k pairs are tapered by 1/2 (1 + cos(pi j / (k - 1)))."""
    rates = rates_of(settings.rope_theta, width)
    count = max(round(settings.share * len(rates)), 2)
    tapers = [0.5 * (1 + math.cos(math.pi * j / (count - 1))) for j in range(count - 1)] + [0.0]
    kept = [1.0] * (len(rates) - count) + tapers
    return Turning([rate * taper for rate, taper in zip(rates, kept, strict=True)], width)


def decaying(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return the turning of xPos, whose logits fall by zeta_i^(1 / scale_base) a token."""
    zetas = [(2 * pair + 0.4 * width) / (1.4 * width) for pair in range(width // 2)]
    decays = [zeta ** (1 / settings.scale_base) for zeta in zetas]
    return Turning(rates_of(settings.rope_theta, width), width, decays=decays)


def grid(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return the turning by digits."""
    return Turning(rates_of(settings.rope_theta, width), width, radix=settings.radix, dims=settings.dims)


def by_layer(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return the turning, and none in each layer of the interval."""
    is_without = (layer[0] + 1) % settings.interval == 0
    return Turning([0.0] * (width // 2) if is_without else rates_of(settings.rope_theta, width), width)


def local_and_global(settings: Any, width: int, length: int, layer: Layer) -> Turning:
    """Return the turning by theta, and in each n-th layer by the global one and w / s; few layers are the last."""
    index, count = layer
    place = index if count >= settings.global_every else index + settings.global_every - count
    if place % settings.global_every != settings.global_every - 1:
        return plain(settings, width, length, layer)
    return Turning([rate / settings.factor for rate in rates_of(settings.global_theta, width)], width)


def without_positions(geometry: Any, width: int, layer: Layer) -> Turning | None:
    """Return no turning in the layers without positions."""
    return None if geometry.no_rope_layers[layer[0]] else Turning([0.0] * (width // 2), width)


def local(geometry: Any, width: int, layer: Layer) -> Turning | None:
    """Return the turning of local layers by their own theta."""
    return Turning(rates_of(geometry.rope_local_base_freq, width), width) if geometry.local_layers[layer[0]] else None


BODIES: dict[str, Callable[[Any, int, Layer], Turning | None]] = {
    "model.families.Gemma3Geometry": local,
    "model.families.Smollm3Geometry": without_positions,
}
FORMULAS: dict[str, Formula] = {
    "position.clipped.ClippedRope": clipped,
    "position.dynamic.DynamicYarn": dynamic_yarn,
    "position.dynamic.RopeDynamicNtk": dynamic_ntk,
    "position.gemma3.Gemma3Rope": local_and_global,
    "position.grid.GridRope": grid,
    "position.llama3.Llama3": llama3,
    "position.longrope.LongRope": longrope,
    "position.partial.PRope": proportional,
    "position.partial.PartialRope": partial,
    "position.resonance.ResonanceRope": resonance,
    "position.rope.Rope": plain,
    "position.rope.RopeAbf": adjusted,
    "position.rope.RopeByParts": by_parts,
    "position.rope.RopeInterp": interpolated,
    "position.rope.RopeNtk": lambda settings, width, length, layer: ntk(settings.rope_theta, settings.factor, width),
    "position.rope.Yarn": yarn,
    "position.rope_nope.RopeNope": by_layer,
    "position.xpos.XPos": decaying,
}
