"""Rotary encodings in the words of Hugging Face configurations, and what their readers make of these.

Tables are keyed by the exact class, so that a new member has no words until somebody has written and compared them.
"""

import math
from collections.abc import Callable
from typing import Any

from ctxext.maths.amplitude import longrope_attention_factor, yarn_attention_factor
from ctxext.maths.rotary import ntk_theta
from ctxext.position.drope import Drope
from ctxext.position.dynamic import RopeDynamicNtk
from ctxext.position.llama3 import Llama3
from ctxext.position.longrope import LongRope
from ctxext.position.nope import Nope
from ctxext.position.partial import PRope
from ctxext.position.resonance import ResonanceRope
from ctxext.position.rope import Rope, RopeAbf, RopeByParts, RopeInterp, RopeNtk, Yarn
from ctxext.position.rope_nope import RopeNope
from ctxext.seams import Position

LENGTH = "original_max_position_embeddings"


def plain(position: Rope, head_dim: int) -> dict[str, Any]:
    """Return the rope parameters of the untouched encoding."""
    return {"rope_type": "default", "rope_theta": float(position.rope_theta)}


def unturned(position: Position, head_dim: int) -> dict[str, Any]:
    """Return the rope parameters of a network none of whose layers turns: they must be there, and are not used."""
    return {"rope_type": "default", "rope_theta": 10000.0}


def linear(position: RopeInterp, head_dim: int) -> dict[str, Any]:
    """Return the rope parameters of position interpolation."""
    return {"rope_type": "linear", "rope_theta": float(position.rope_theta), "factor": float(position.factor)}


def another_theta(position: RopeNtk, head_dim: int) -> dict[str, Any]:
    """Return the rope parameters of NTK-aware scaling, which is the plain encoding with another theta."""
    return {"rope_type": "default", "rope_theta": ntk_theta(position.rope_theta, position.factor, head_dim)}


def adjusted_theta(position: RopeAbf, head_dim: int) -> dict[str, Any]:
    """Return the rope parameters of an adjusted base frequency: the theta that took the base's place."""
    return {"rope_type": "default", "rope_theta": float(position.adjusted_theta)}


def dynamic(position: RopeDynamicNtk, head_dim: int) -> dict[str, Any]:
    """Return the rope parameters of dynamic NTK-aware scaling; its trained length is `max_position_embeddings`."""
    return {"rope_type": "dynamic", "rope_theta": float(position.rope_theta), "factor": float(position.factor)}


def yarn(position: RopeByParts, head_dim: int) -> dict[str, Any]:
    """Return the rope parameters of YaRN and NTK-by-parts, each spelt out, since readers' defaults differ."""
    return {
        "rope_type": "yarn",
        "rope_theta": float(position.rope_theta),
        "factor": float(position.factor),
        LENGTH: position.original_max_position_embeddings,
        "beta_fast": float(position.beta_fast),
        "beta_slow": float(position.beta_slow),
        "attention_factor": float(position.amplitude),
        "truncate": True,
    }


def llama3(position: Llama3, head_dim: int) -> dict[str, Any]:
    """Return the rope parameters of Llama 3's bands."""
    return {
        "rope_type": "llama3",
        "rope_theta": float(position.rope_theta),
        "factor": float(position.factor),
        LENGTH: position.original_max_position_embeddings,
        "low_freq_factor": float(position.low_freq_factor),
        "high_freq_factor": float(position.high_freq_factor),
    }


def longrope(position: LongRope | ResonanceRope, head_dim: int) -> dict[str, Any]:
    """Return the rope parameters of an encoding that divides each frequency by its own number."""
    if isinstance(position, LongRope):
        short, long = list(position.short_factor), list(position.long_factor)
    else:
        divisors = Rope(position.rope_theta).frequencies(head_dim).double() / position.frequencies(head_dim).double()
        short = long = divisors.tolist()
    return {
        "rope_type": "longrope",
        "rope_theta": float(position.rope_theta),
        "factor": float(position.factor),
        LENGTH: position.original_max_position_embeddings,
        "short_factor": short,
        "long_factor": long,
        "attention_factor": float(position.attention_factor),
    }


def proportional(position: PRope, head_dim: int) -> dict[str, Any]:
    """Return the rope parameters of p-RoPE."""
    return plain(position, head_dim) | {
        "rope_type": "proportional",
        "partial_rotary_factor": float(position.partial_rotary_factor),
    }


POSITIONS: dict[type[Position], Callable[[Any, int], dict[str, Any]]] = {
    Rope: plain,
    RopeInterp: linear,
    RopeNtk: another_theta,
    RopeAbf: adjusted_theta,
    RopeDynamicNtk: dynamic,
    RopeByParts: yarn,
    Yarn: yarn,
    Llama3: llama3,
    LongRope: longrope,
    ResonanceRope: longrope,
    PRope: proportional,
    RopeNope: plain,
    Nope: unturned,
    Drope: unturned,
}
SKIPPING = (RopeNope, Nope, Drope)
"""Encodings that leave the rotation out in some layers or in all."""


def is_turned(position: Position) -> int:
    """Return 1 if the `position` of a layer turns its heads, and 0 if not."""
    return int(type(position) not in (Nope, Drope))


def both_spellings(rope: dict[str, Any]) -> dict[str, Any]:
    """Return the `rope` parameters in the keys of transformers 5 and of 4, which ignores the new ones in silence."""
    scaling = {key: value for key, value in rope.items() if key != "rope_theta"}
    spelt: dict[str, Any] = {
        "rope_parameters": rope,
        "rope_scaling": None if rope["rope_type"] == "default" else scaling,
        "rope_theta": rope["rope_theta"],
    }
    return spelt | ({LENGTH: rope[LENGTH]} if LENGTH in rope else {})


CACHED = "With a cache, transformers leaves keys turned as they were when the text was shorter"
NOTES = {
    "dynamic": (
        f"{CACHED}, and keeps the largest theta that a text asked for until one is shorter than the trained length.",
        "max_position_embeddings is the trained length, from which rope_type=dynamic counts, and not the target.",
    ),
    "longrope": (f"{CACHED}: a text that crosses the trained length while it is written is read as garbage.",),
    "proportional": ("Only transformers from 5 on knows rope_type=proportional; older ones refuse to load it.",),
}


def notes(rope: dict[str, Any]) -> tuple[str, ...]:
    """Return what a user of another reader must know of the `rope` parameters."""
    return (*sharpness(rope), *(() if is_one_set(rope) else NOTES.get(rope["rope_type"], ())))


def is_one_set(rope: dict[str, Any]) -> bool:
    """Return whether the `rope` parameters have two lists of factors, and both are the same."""
    return bool(rope["rope_type"] == "longrope" and rope["short_factor"] == rope["long_factor"])


def sharpness(rope: dict[str, Any]) -> tuple[str, ...]:
    """Return what a user must know of the `attention_factor` in the `rope` parameters, if there is one."""
    if "attention_factor" not in rope:
        return ()
    factor, extension = rope["attention_factor"], rope["factor"]
    is_yarn = rope["rope_type"] == "yarn"
    default = yarn_attention_factor(extension) if is_yarn else longrope_attention_factor(extension, rope[LENGTH])
    sentence = f"The final attention_factor, applied once to cosine and sine, is {factor:.6g}."
    if math.isclose(factor, default, rel_tol=1e-6):
        return (sentence,)
    older = "Readers that drop the key, older vLLM among them,"
    return (sentence, f"{older} take {default:.6g} in its place and compute another model.")
