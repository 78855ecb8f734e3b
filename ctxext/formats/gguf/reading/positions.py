"""The rotary keys of a GGUF file as a position encoding, read as llama.cpp reads them.

A pair turns by its frequency, divided by its number in `rope_freqs.weight` if there is one, and by the factor unless
the type is none; an absent type is linear. The amplitude is `rope.scaling.attn_factor`, and llama.cpp multiplies it by
1 + 0.1 ln(factor) itself where the type is yarn: the key holds what is left over, 1 for YaRN's own, and never the
whole, which is what Hugging Face's attention_factor is. Long texts take `rope_factors_long` here by their own length,
as in Hugging Face, where llama.cpp goes by the length of its cache.

Shapes: D head width.
"""

from typing import NamedTuple

import numpy as np

from ctxext.formats.gguf.names import ROPE_FREQS, ROPE_LONG, ROPE_SHORT
from ctxext.formats.gguf.reading.header import Header
from ctxext.formats.gguf.reading.settings import ModelSettings
from ctxext.formats.gguf.reading.tensors import numbers
from ctxext.maths.amplitude import yarn_attention_factor
from ctxext.position.longrope import LongRope
from ctxext.position.rope import Rope, RopeInterp, Yarn
from ctxext.refusal import Refusal, require

TYPES = ("none", "linear", "yarn", "longrope")


class Scaling(NamedTuple):
    """What a file says of its scaling: `kind`, `factor`, `amplitude` beyond the kind's own, and the length before."""

    kind: str
    factor: float
    amplitude: float
    original: int


def read_position(settings: ModelSettings, head_dim: int) -> Rope:
    """Return the position encoding of `settings` for heads of `head_dim`; refuse what no encoding of ours computes."""
    width = settings.count("rope.dimension_count", head_dim)
    require(
        width == head_dim,
        f"{settings.where('rope.dimension_count')} must be {head_dim}, the whole of a head, got {width}",
    )
    theta, scaling = float(settings.number("rope.freq_base", 10000.0)), read_scaling(settings)
    divisors = read_divisors(settings.header, scaling, head_dim)
    if scaling.kind == "yarn":
        require(not divisors, f"{settings.where('rope.scaling.type')} is yarn, which goes with no {ROPE_FREQS}")
        return read_yarn(settings, theta, scaling)
    if not divisors and scaling.amplitude == 1:
        return Rope(theta) if scaling.factor == 1 else RopeInterp(theta, scaling.factor)
    short, long = divisors or ((1.0,) * (head_dim // 2),) * 2
    context = settings.count("context_length")
    return LongRope(
        rope_theta=theta,
        factor=max(1.0, context / scaling.original),
        original_max_position_embeddings=scaling.original,
        short_factor=tuple(scaling.factor * number for number in short),
        long_factor=tuple(scaling.factor * number for number in long),
        attention_factor=scaling.amplitude,
    )


def read_scaling(settings: ModelSettings) -> Scaling:
    """Return what `settings` say of the scaling."""
    kind = settings.text("rope.scaling.type", "linear")
    known = ", ".join(TYPES)
    require(kind in TYPES, f"{settings.where('rope.scaling.type')} must be one of {known}, got {kind!r}")
    key = "rope.scaling.factor" if settings.has("rope.scaling.factor") else "rope.scale_linear"
    factor = 1.0 if kind == "none" else float(settings.number(key, 1.0))
    require(factor >= 1, f"{settings.where(key)} must be at least 1, got {factor}")
    amplitude = float(settings.number("rope.scaling.attn_factor", 1.0))
    is_shared = settings.name != "gemma3" or amplitude == 1
    require(is_shared, f"{settings.where('rope.scaling.attn_factor')} would act in local layers too, got {amplitude}")
    original = settings.count("rope.scaling.original_context_length", settings.count("context_length"))
    return Scaling(kind, factor, amplitude, original)


def read_yarn(settings: ModelSettings, theta: float, scaling: Scaling) -> Yarn:
    """Return the YaRN that `settings` state, which begins at `theta`."""
    fast, slow = (
        float(settings.number(f"rope.scaling.yarn_beta_{key}", default)) for key, default in (("fast", 32), ("slow", 1))
    )
    return Yarn(
        rope_theta=theta,
        factor=scaling.factor,
        original_max_position_embeddings=scaling.original,
        beta_fast=fast,
        beta_slow=slow,
        attention_factor=scaling.amplitude * yarn_attention_factor(scaling.factor),
    )


def read_divisors(header: Header, scaling: Scaling, head_dim: int) -> tuple[tuple[float, ...], ...]:
    """Return by what the frequencies of short and of long texts are divided [D / 2], or nothing."""
    if scaling.kind == "longrope":
        return divisor(header, ROPE_SHORT, head_dim), divisor(header, ROPE_LONG, head_dim)
    for name in (ROPE_SHORT, ROPE_LONG):
        require(name not in header.tensors, f"{header.file}: {name} needs rope.scaling.type longrope")
    return (divisor(header, ROPE_FREQS, head_dim),) * 2 if ROPE_FREQS in header.tensors else ()


def divisor(header: Header, name: str, head_dim: int) -> tuple[float, ...]:
    """Return the numbers of the tensor `name` of `header`, one for each pair of a head of `head_dim`."""
    if name not in header.tensors:
        raise Refusal(f"{header.file}: rope.scaling.type is longrope, which needs the tensor {name}")
    shape = header.tensors[name].shape
    pairs = head_dim // 2
    require(shape == (pairs,), f"{header.file}: {name} must hold {pairs} numbers, has the shape {list(shape)}")
    found = numbers(header, name)
    fits = bool(np.isfinite(found).all() and (found > 0).all())
    require(fits, f"{header.file}: {name} must hold finite numbers above 0, got {found.min()}")
    return tuple(float(number) for number in found)
