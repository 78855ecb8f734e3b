"""Rotary encodings in the keys and tensors of GGUF, by what llama.cpp makes of them when it reads them.

Seen with the llama.cpp of llama-cpp-python 0.3.36 (`scripts/llama_cpp_check.py`): with `yarn` it multiplies queries and
keys by 0.1 ln(factor) + 1 of its own accord, and then, with any type, by `rope.scaling.attn_factor`. Hence that key
holds what is left of an attention factor, and is absent where nothing is: logits of size 21 then differ by less than
1e-3 at four times the trained length, by 3.6 where a file states YaRN's own factor, and by 2.7 where NTK-by-parts lacks
the key. `rope_freqs.weight` divides the frequencies whatever the type says. Beta keys are read, but bindings that pass
32 and 1 override them: other ramps become divisors.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ctxext.formats.gguf.names import ROPE_FREQS, ROPE_LONG, ROPE_SHORT
from ctxext.maths.amplitude import yarn_attention_factor
from ctxext.maths.rotary import frequencies, ntk_theta
from ctxext.position.clipped import ClippedRope
from ctxext.position.drope import Drope
from ctxext.position.llama3 import Llama3
from ctxext.position.longrope import LongRope
from ctxext.position.nope import Nope
from ctxext.position.partial import PRope
from ctxext.position.resonance import ResonanceRope
from ctxext.position.rope import Rope, RopeAbf, RopeByParts, RopeInterp, RopeNtk, Yarn
from ctxext.position.rope_nope import RopeNope
from ctxext.seams import Position

BETAS = (32.0, 1.0)
"""The ramp of YaRN that every reader has."""
STANDING = 1e30
"""By this a frequency is divided to turn no pair: no angle differs from 0 in float32."""
THETA = 10000.0
CHOICE = (
    "llama.cpp takes the long factors once it is opened with a context beyond the trained length, also for texts that"
    " are shorter, and the short ones otherwise; the model's own choice is by the text."
)


@dataclass(frozen=True)
class Turning:
    """A rotation as GGUF says it: `keys` below ARCHITECTURE.rope., and `divisors` of the frequencies by tensor name.

    `attention_factor` is what remains for llama.cpp to multiply queries and keys by; `notes` are for the user.
    """

    theta: float
    keys: dict[str, Any]
    divisors: dict[str, tuple[float, ...]] = field(default_factory=dict)
    attention_factor: float = 1.0
    notes: tuple[str, ...] = ()


def plain(position: Rope, head_dim: int) -> Turning:
    """Return the untouched encoding."""
    return Turning(position.rope_theta, {"scaling.type": "none"})


def linear(position: RopeInterp, head_dim: int) -> Turning:
    """Return position interpolation."""
    return Turning(position.rope_theta, {"scaling.type": "linear", "scaling.factor": float(position.factor)})


def another_theta(position: RopeNtk, head_dim: int) -> Turning:
    """Return NTK-aware scaling, which is the plain encoding with another theta."""
    return plain(Rope(ntk_theta(position.rope_theta, position.factor, head_dim)), head_dim)


def adjusted_theta(position: RopeAbf, head_dim: int) -> Turning:
    """Return an adjusted base frequency: the theta that took the base's place."""
    return plain(Rope(position.adjusted_theta), head_dim)


def yarn(position: RopeByParts, head_dim: int) -> Turning:
    """Return YaRN or NTK-by-parts: by its name where every reader draws the same ramp, else by divisors."""
    if (position.beta_fast, position.beta_slow) != BETAS:
        return divided(position, head_dim)
    keys = {
        "scaling.type": "yarn",
        "scaling.factor": float(position.factor),
        "scaling.original_context_length": position.original_max_position_embeddings,
    }
    left = position.amplitude / yarn_attention_factor(position.factor)
    return Turning(position.rope_theta, keys, attention_factor=left)


def divided(position: Rope, head_dim: int) -> Turning:
    """Return an encoding of any frequencies, as numbers that divide the plain ones."""
    divisors = quotients(position.rope_theta, position.frequencies(head_dim))
    return Turning(
        position.rope_theta, {"scaling.type": "none"}, {ROPE_FREQS: divisors}, attention_factor=position.amplitude
    )


def longrope(position: LongRope, head_dim: int) -> Turning:
    """Return LongRoPE; two lists need the type of this name, and one list does not."""
    if position.short_factor == position.long_factor:
        return divided(position, head_dim)
    keys = {
        "scaling.type": "longrope",  # its factor would divide the frequencies once more
        "scaling.original_context_length": position.original_max_position_embeddings,
    }
    divisors = {ROPE_SHORT: position.short_factor, ROPE_LONG: position.long_factor}
    return Turning(position.rope_theta, keys, divisors, position.attention_factor, (CHOICE,))


def unturned(position: Position, head_dim: int) -> Turning:
    """Return a rotation that turns nothing."""
    return Turning(THETA, {"scaling.type": "none"}, {ROPE_FREQS: (STANDING,) * (head_dim // 2)})


def quotients(theta: float, turned: Tensor) -> tuple[float, ...]:
    """Return by what the frequencies of `theta` are divided to be those `turned` [D / 2]."""
    base = frequencies(theta, 2 * turned.shape[0]).double()
    return tuple((base / turned.double()).nan_to_num(posinf=STANDING).clamp(max=STANDING).tolist())


POSITIONS: dict[type[Position], Callable[[Any, int], Turning]] = {
    Rope: plain,
    RopeInterp: linear,
    RopeNtk: another_theta,
    RopeAbf: adjusted_theta,
    RopeByParts: yarn,
    Yarn: yarn,
    Llama3: divided,
    LongRope: longrope,
    ResonanceRope: divided,
    PRope: divided,
    ClippedRope: divided,
    RopeNope: plain,  # of the layers that turn
    Nope: unturned,
    Drope: unturned,
}
"""By the exact class, so that a new member has no words until somebody has written and compared them."""
