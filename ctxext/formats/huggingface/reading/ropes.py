"""The rotary keys of a config.json as our position encoding, each number as transformers would take it."""

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ctxext.formats.huggingface.reading.keys import Keys, made
from ctxext.formats.huggingface.reading.rope_keys import LENGTH, SHARE, THETA, stated_rope
from ctxext.maths.amplitude import longrope_attention_factor, yarn_attention_factor
from ctxext.refusal import nearest, require

if TYPE_CHECKING:
    from ctxext.position.rope import Rope

Make = Callable[[], "Rope"]
LONGEST = "max_position_embeddings"


def read_position(config: Keys, default_theta: float, head_dim: int) -> "Rope":
    """Return the encoding that the rotary keys of `config` state for heads of `head_dim`."""
    rope = stated_rope(config, default_theta)
    name, known = rope.content["rope_type"], sorted(TYPES)
    near = nearest(name, known) if isinstance(name, str) else ""
    where = rope.where("rope_type")
    require(name in known, f"{where} must be one of {', '.join(known)}, the types that are read, got {name!r}{near}")
    check_keys(rope, name)
    check_share(rope, name)
    make, keys = TYPES[name][0](rope, config), rope

    def whole() -> "Rope":
        position = make()
        position.frequencies(head_dim)  # it refuses what doesn't fit the head
        return position

    return made(keys, "position", whole)


def check_keys(rope: Keys, name: str) -> None:
    """Refuse keys of `rope` that the type `name` doesn't have: readers would ignore them."""
    known = ["rope_type", THETA, LENGTH, SHARE, *TYPES[name][1]]
    for key in rope.content:
        require(key in (*known, *IGNORED), f"{rope.where(key)} is no key of rope_type={name}{nearest(key, known)}")


def check_share(rope: Keys, name: str) -> None:
    """Refuse heads that turn in part, but where the type `name` is made for it."""
    share = rope.content.get(SHARE, 1)
    rule = f"must be 1, since rope_type={name} turns whole heads here, got {share!r}"
    require(name == "proportional" or share == 1, f"{rope.where(SHARE)} {rule}")


def default(rope: Keys, config: Keys) -> Make:
    """Return the untouched encoding."""
    from ctxext.position.rope import Rope

    return partial(Rope, rope.number(THETA))


def linear(rope: Keys, config: Keys) -> Make:
    """Return position interpolation."""
    from ctxext.position.rope import RopeInterp

    return partial(RopeInterp, rope.number(THETA), rope.number("factor"))


def dynamic(rope: Keys, config: Keys) -> Make:
    """Return dynamic NTK-aware scaling, which counts from `max_position_embeddings`: readers ignore another length."""
    from ctxext.position.dynamic import RopeDynamicNtk

    trained = config.whole(LONGEST)
    stated = rope.content.get(LENGTH, trained)
    rule = f"but rope_type=dynamic counts from {LONGEST}={trained}"
    require(stated == trained, f"{rope.where(LENGTH)} is {stated!r}, {rule}")
    return partial(RopeDynamicNtk, rope.number(THETA), rope.number("factor"), trained)


def yarn(rope: Keys, config: Keys) -> Make:
    """Return YaRN."""
    from ctxext.position.rope import Yarn

    original, factor = original_length(rope, config), rope.number("factor")
    truncated = rope.flag("truncate") if rope.has("truncate") else True
    require(truncated, f"{rope.where('truncate')} must be true, since this program's YaRN rounds its ramp, got false")
    fast, slow = (
        rope.number(key) if rope.content.get(key) else usual for key, usual in (("beta_fast", 32.0), ("beta_slow", 1.0))
    )
    sharpness = rope.number("attention_factor") if rope.has("attention_factor") else yarn_sharpness(rope, factor)
    return partial(Yarn, rope.number(THETA), factor, original, fast, slow, sharpness)


def yarn_sharpness(rope: Keys, factor: float) -> float:
    """Return the attention factor that follows from `factor`, and from both mscale keys where they are there."""
    if not (rope.content.get("mscale") and rope.content.get("mscale_all_dim")):
        return yarn_attention_factor(factor)
    above, below = (1 + rope.number(key) * 0.1 * math.log(max(factor, 1.0)) for key in ("mscale", "mscale_all_dim"))
    return above / below


def longrope(rope: Keys, config: Keys) -> Make:
    """Return LongRoPE; its factor is the quotient of the lengths where it is not stated."""
    from ctxext.position.longrope import LongRope

    original = original_length(rope, config)
    factor = rope.number("factor") if rope.has("factor") else config.whole(LONGEST) / original
    short, long = rope.numbers("short_factor"), rope.numbers("long_factor")
    follows = longrope_attention_factor(factor, original)
    sharpness = rope.number("attention_factor") if rope.has("attention_factor") else follows
    return partial(LongRope, rope.number(THETA), factor, original, short, long, sharpness)


def llama3(rope: Keys, config: Keys) -> Make:
    """Return Llama 3's bands."""
    from ctxext.position.llama3 import Llama3

    low, high = rope.number("low_freq_factor"), rope.number("high_freq_factor")
    return partial(Llama3, rope.number(THETA), rope.number("factor"), original_length(rope, config), low, high)


def proportional(rope: Keys, config: Keys) -> Make:
    """Return p-RoPE, or the untouched encoding where all pairs turn."""
    from ctxext.position.partial import PRope

    factor = rope.content.get("factor", 1)
    require(factor == 1, f"{rope.where('factor')} must be 1, since p-RoPE has no factor here, got {factor!r}")
    share = rope.number(SHARE) if rope.has(SHARE) else 1.0
    return default(rope, config) if share == 1 else partial(PRope, rope.number(THETA), share)


def original_length(rope: Keys, config: Keys) -> int:
    """Return the length before the scaling: the longest one where none is stated, as readers take it."""
    longest = config.whole(LONGEST)
    length = rope.whole(LENGTH) if rope.has(LENGTH) else longest
    require(length <= longest, f"{rope.where(LENGTH)} must be at most {LONGEST}={longest}, got {length}")
    return length


YARN = ("factor", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate")
TYPES: dict[str, tuple[Callable[[Keys, Keys], Make], tuple[str, ...]]] = {
    "default": (default, ()),
    "linear": (linear, ("factor",)),
    "dynamic": (dynamic, ("factor",)),
    "yarn": (yarn, YARN),
    "longrope": (longrope, ("factor", "attention_factor", "short_factor", "long_factor")),
    "llama3": (llama3, ("factor", "low_freq_factor", "high_freq_factor")),
    "proportional": (proportional, ("factor",)),
}
"""For each type what reads it, and its keys beside those that all have."""
IGNORED = ("finetuned", "short_mscale", "long_mscale")
"""Keys in the wild that transformers doesn't look at."""
