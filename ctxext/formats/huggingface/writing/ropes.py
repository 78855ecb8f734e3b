"""Rotary encodings in the words of Hugging Face configurations.

Tables are keyed by the exact class, so that a new member has no words until somebody has written and compared them.
"""

import math
from collections.abc import Callable
from typing import Any

from ctxext.formats.huggingface.writing.composition import UNTURNED
from ctxext.formats.huggingface.writing.reasons import unhoused
from ctxext.maths.amplitude import yarn_attention_factor
from ctxext.maths.rotary import ntk_theta
from ctxext.position.clipped import ClippedRope
from ctxext.position.dynamic import ByLength, RopeDynamicNtk
from ctxext.position.llama3 import Llama3
from ctxext.position.longrope import LongRope
from ctxext.position.partial import PartialRope, PRope
from ctxext.position.resonance import ResonanceRope
from ctxext.position.rope import Rope, RopeAbf, RopeByParts, RopeInterp, RopeNtk, Yarn
from ctxext.seams import Position

Parameters = dict[str, Any]
LENGTH = "original_max_position_embeddings"
STILL = 1e20
"""What divides the frequency of a pair that stands still: float32 can't tell its angle from 0 at any length."""


def plain(position: Rope, head_dim: int) -> Parameters:
    """Return the rope parameters of the untouched encoding."""
    return {"rope_type": "default", "rope_theta": float(position.rope_theta)}


def linear(position: RopeInterp, head_dim: int) -> Parameters:
    """Return the rope parameters of position interpolation."""
    return plain(position, head_dim) | {"rope_type": "linear", "factor": float(position.factor)}


def another_theta(position: RopeNtk, head_dim: int) -> Parameters:
    """Return the rope parameters of NTK-aware scaling, which is the plain encoding with another theta."""
    return {"rope_type": "default", "rope_theta": ntk_theta(position.rope_theta, position.factor, head_dim)}


def adjusted_theta(position: RopeAbf, head_dim: int) -> Parameters:
    """Return the rope parameters of an adjusted base frequency: the theta that took the base's place."""
    return {"rope_type": "default", "rope_theta": float(position.adjusted_theta)}


def dynamic(position: RopeDynamicNtk, head_dim: int) -> Parameters:
    """Return the rope parameters of dynamic NTK-aware scaling; its trained length is `max_position_embeddings`."""
    return plain(position, head_dim) | {"rope_type": "dynamic", "factor": float(position.factor)}


def yarn(position: RopeByParts, head_dim: int) -> Parameters:
    """Return the rope parameters of YaRN and NTK-by-parts, each spelt out, since readers' defaults differ.

    With a sharpness that is not YaRN's own they are a longrope's: some readers drop the key that would say so.
    """
    if not math.isclose(position.amplitude, yarn_attention_factor(position.factor), rel_tol=1e-6):
        return static(position, head_dim, position.factor, position.original_max_position_embeddings)
    return plain(position, head_dim) | {
        "rope_type": "yarn",
        "factor": float(position.factor),
        LENGTH: position.original_max_position_embeddings,
        "beta_fast": float(position.beta_fast),
        "beta_slow": float(position.beta_slow),
        "attention_factor": float(position.amplitude),
        "truncate": True,
    }


def llama3(position: Llama3, head_dim: int) -> Parameters:
    """Return the rope parameters of Llama 3's bands."""
    return plain(position, head_dim) | {
        "rope_type": "llama3",
        "factor": float(position.factor),
        LENGTH: position.original_max_position_embeddings,
        "low_freq_factor": float(position.low_freq_factor),
        "high_freq_factor": float(position.high_freq_factor),
    }


def longrope(position: LongRope, head_dim: int) -> Parameters:
    """Return the rope parameters of LongRoPE."""
    length = position.original_max_position_embeddings
    return divided(position, list(position.short_factor), list(position.long_factor), position.factor, length)


def resonant(position: ResonanceRope, head_dim: int) -> Parameters:
    """Return the rope parameters of frequencies that resonate."""
    return static(position, head_dim, position.factor, position.original_max_position_embeddings)


def clipped(position: ClippedRope, head_dim: int) -> Parameters:
    """Return the rope parameters of frequencies that taper off; nothing follows from the length that they name."""
    return static(position, head_dim, 1.0, 1)


def static(position: Rope, head_dim: int, factor: float, length: int) -> Parameters:
    """Return the rope parameters of any fixed frequencies, extended by `factor` from `length` tokens."""
    divisors = (
        Rope(position.rope_theta).frequencies(head_dim).double() / position.frequencies(head_dim).double()
    ).clamp(max=STILL)
    return divided(position, divisors.tolist(), divisors.tolist(), factor, length)


def divided(position: Rope, short: list[float], long: list[float], factor: float, length: int) -> Parameters:
    """Return the parameters of `position` as an encoding that divides each frequency by its own number.

    Texts of up to `length` tokens take `short`. vLLM reads the last two keys in place of attention_factor.
    """
    amplitude = float(position.amplitude)
    return {
        "rope_type": "longrope",
        "rope_theta": float(position.rope_theta),
        "factor": float(factor),
        LENGTH: length,
        "short_factor": short,
        "long_factor": long,
        "attention_factor": amplitude,
        "short_mscale": amplitude,
        "long_mscale": amplitude,
    }


def proportional(position: PRope, head_dim: int) -> Parameters:
    """Return the rope parameters of p-RoPE."""
    share = float(position.partial_rotary_factor)
    return plain(position, head_dim) | {"rope_type": "proportional", "partial_rotary_factor": share}


def partial(position: PartialRope, head_dim: int) -> Parameters:
    """Return the rope parameters of partial rotation, which Phi-3 reads."""
    return plain(position, head_dim) | {"partial_rotary_factor": float(position.partial_rotary_factor)}


ROPES: dict[type[Position], Callable[[Any, int], Parameters]] = {
    Rope: plain,
    RopeInterp: linear,
    RopeNtk: another_theta,
    RopeAbf: adjusted_theta,
    RopeDynamicNtk: dynamic,
    RopeByParts: yarn,
    Yarn: yarn,
    Llama3: llama3,
    LongRope: longrope,
    ResonanceRope: resonant,
    ClippedRope: clipped,
    PRope: proportional,
    PartialRope: partial,
}


def parameters(encoding: Position, chosen: Position, head_dim: int) -> Parameters:
    """Return the rope parameters of the `encoding` that layers have where `chosen` is; raise NotExportable if none."""
    if type(encoding) in UNTURNED:
        return {"rope_type": "default", "rope_theta": 10000.0}  # they must be there, and are not used
    if type(encoding) not in ROPES:
        raise unhoused("position", chosen)
    return ROPES[type(encoding)](encoding, head_dim)


def is_static(encoding: Position) -> bool:
    """Return whether the `encoding` turns texts of any length alike."""
    return isinstance(encoding, Rope) and not isinstance(encoding, ByLength | PartialRope)


def both_spellings(rope: Parameters) -> dict[str, Any]:
    """Return the `rope` parameters in the keys of transformers 5 and of 4, which ignores the new ones in silence."""
    scaling = {key: value for key, value in rope.items() if key != "rope_theta"}
    spelt: dict[str, Any] = {
        "rope_parameters": rope,
        "rope_scaling": None if rope["rope_type"] == "default" else scaling,
        "rope_theta": rope["rope_theta"],
    }
    return spelt | {key: rope[key] for key in (LENGTH, "partial_rotary_factor") if key in rope}
