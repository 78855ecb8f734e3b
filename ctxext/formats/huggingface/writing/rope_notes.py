"""What a user of another reader must know of exported rope parameters."""

import math
from typing import Any

from ctxext.formats.huggingface.writing.ropes import LENGTH
from ctxext.maths.amplitude import longrope_attention_factor

CACHED = "With a cache, transformers leaves keys turned as they were when the text was shorter"
NOTES = {
    "dynamic": (
        f"{CACHED}, and keeps the largest theta that a text asked for until one is shorter than the trained length.",
        "max_position_embeddings is the trained length, from which rope_type=dynamic counts, and not the target.",
    ),
    "longrope": (f"{CACHED}: a text that crosses the trained length while it is written is read as garbage.",),
    "proportional": ("Only transformers from 5 on knows rope_type=proportional; older ones refuse to load it.",),
}
VLLM = "vLLM takes longrope's factors from short_mscale and long_mscale, which say the same; it was not run."


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
    sentence = f"The final attention_factor, applied once to cosine and sine, is {factor:.6g}."
    if rope["rope_type"] == "yarn":
        return (sentence,)
    default = longrope_attention_factor(extension, rope[LENGTH])
    if math.isclose(factor, default, rel_tol=1e-6):
        return (sentence, VLLM)
    return (
        sentence,
        VLLM,
        f"Readers that drop these keys take {default:.6g} in their place and compute another model.",
    )
