"""Which architecture of llama.cpp computes each of our bodies, and what it does with masks and attention mechanisms.

Seen with the llama.cpp of llama-cpp-python 0.3.36: its logits differ by less than 4e-3 at 1024 tokens, and by 0.04 for
Gemma, since it looks GELU up in half precision. The windows of Gemma 2's layers and SmolLM3's layers without rotation
are in its code and not in the file, so that others than these have no home.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ctxext.attention.shifted_sparse import ShiftedSparse
from ctxext.attention.softcap import SoftCap
from ctxext.attention.softmax import Softmax
from ctxext.attention.temperature import Temperature
from ctxext.formats.gguf.writing.reasons import in_no_body, refused, unheard
from ctxext.mask.causal import Causal
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.families import Gemma2Geometry, Gemma3Geometry, Olmo2Geometry, Qwen3Geometry, Smollm3Geometry
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope_nope import RopeNope
from ctxext.seams import Attention, Mask, Position

NO_ROPE_EVERY = 4
"""Each layer of this number is not turned in SmolLM3."""
GEMMA2_EVERY = 2
"""Each layer of this number sees everything in Gemma 2."""
OTHER_SCALE = {"gemma2": 46, "gemma3": 62}
"""The layers of the sizes whose queries are divided otherwise than by the root of the heads' width."""
SEEING_ALL: tuple[type[Mask], ...] = (Causal, IntraDocument)
PLAIN: tuple[type[Attention], ...] = (Softmax, ShiftedSparse)
"""What is plain softmax attention whenever a model is read."""


@dataclass(frozen=True)
class Composition:
    """What is to be held beside a body: the three members, and what llama.cpp would have to do to hold the position.

    `divides`: its frequencies are divided one by one; `sharpens`: queries and keys are multiplied by a number.
    """

    position: Position
    mask: Mask
    attention: Attention
    divides: bool
    sharpens: bool


@dataclass(frozen=True)
class Body:
    """The `architecture`, and `keys` below its name beside the sizes."""

    architecture: str
    keys: dict[str, Any] = field(default_factory=dict)


def llama(geometry: DecoderGeometry, held: Composition) -> Body:
    """Return the home of Llama's body; with biases it is Qwen 2's, which divides no frequencies and has even heads."""
    check_all_seen(held)
    check_attention(held, (*PLAIN, Temperature))
    if type(held.position) is RopeNope:
        return skipping(geometry, held, tuple((layer + 1) % held.position.interval for layer in layers(geometry)))
    is_even = geometry.num_attention_heads * geometry.head_dim == geometry.hidden_size
    return Body("qwen2" if geometry.attention_bias and is_even and not held.divides else "llama")


def qwen3(geometry: Qwen3Geometry, held: Composition) -> Body:
    """Return the home of Qwen 3's body."""
    check_all_seen(held)
    check_attention(held, (*PLAIN, Temperature))
    return undivided(Body("qwen3"), geometry, held)


def olmo2(geometry: Olmo2Geometry, held: Composition) -> Body:
    """Return the home of OLMo 2's body."""
    check_all_seen(held)
    check_attention(held, (*PLAIN, Temperature))
    if geometry.num_attention_heads * geometry.head_dim != geometry.hidden_size:
        raise in_no_body("model.head_dim x model.num_attention_heads that is not model.hidden_size", "olmo2")
    return undivided(Body("olmo2"), geometry, held)


def smollm3(geometry: Smollm3Geometry, held: Composition) -> Body:
    """Return the home of SmolLM3's body."""
    check_all_seen(held)
    return skipping(geometry, held, geometry.no_rope_layers)


def skipping(geometry: DecoderGeometry, held: Composition, turned: tuple[int, ...]) -> Body:
    """Return the home of Llama's body of which only the layers `turned`, not 0, are turned."""
    check_attention(held, PLAIN)
    if any(
        bool(number) != bool((layer + 1) % NO_ROPE_EVERY)
        for layer, number in zip(layers(geometry), turned, strict=True)
    ):
        raise in_no_body(f"layers without rotation other than each {NO_ROPE_EVERY}th", "smollm3")
    return undivided(Body("smollm3"), geometry, held)


def gemma2(geometry: Gemma2Geometry, held: Composition) -> Body:
    """Return the home of Gemma 2's body: capped attention, capped logits, and windows in turn."""
    if not isinstance(held.attention, SoftCap):
        raise in_no_body("an attention that is not attention=softcap", "gemma2")
    period, window = windows(geometry, held.mask)
    if period != GEMMA2_EVERY:
        raise in_no_body("a mask that is no window in every other layer (mask=layered mask.pattern=SL)", "gemma2")
    if not geometry.final_logit_softcapping or not geometry.tie_word_embeddings:
        raise in_no_body("model.final_logit_softcapping=0 or model.tie_word_embeddings=false", "gemma2")
    check_queries(geometry, "gemma2")
    keys = {
        "attention.sliding_window": window,
        "attn_logit_softcapping": float(held.attention.attn_logit_softcapping),
        "final_logit_softcapping": float(geometry.final_logit_softcapping),
    }
    return undivided(Body("gemma2", keys), geometry, held)


def gemma3(geometry: Gemma3Geometry, held: Composition) -> Body:
    """Return the home of Gemma 3's body: windows, and a rotation of their own, in all layers but each n-th."""
    check_attention(held, PLAIN)
    period, window = windows(geometry, held.mask)
    local = tuple(int((layer + 1) % period != 0) for layer in layers(geometry))
    if geometry.local_layers != local:
        raise in_no_body("a mask whose windows are not in the layers of model.local_layers", "gemma3")
    if held.sharpens:
        raise in_no_body("an attention_factor other than YaRN's, which would act in local layers too,", "gemma3")
    check_queries(geometry, "gemma3")
    cap = geometry.final_logit_softcapping
    keys = {
        "attention.sliding_window": window,
        "attention.sliding_window_pattern": period,
        "rope.freq_base_swa": float(geometry.rope_local_base_freq),
    }
    return undivided(Body("gemma3", keys | ({"final_logit_softcapping": float(cap)} if cap else {})), geometry, held)


def layers(geometry: DecoderGeometry) -> range:
    """Return the layers' numbers."""
    return range(geometry.num_hidden_layers)


def windows(geometry: DecoderGeometry, mask: Mask) -> tuple[int, int]:
    """Return the period of the layers that see all, and the window of the others; refuse a `mask` of another form."""
    count = geometry.num_hidden_layers
    by_layer = [mask.layer(index, count) for index in range(count)]
    sizes = {member.window for member in by_layer if type(member) is SlidingWindow}
    seeing_all = [index for index, member in enumerate(by_layer) if type(member) in SEEING_ALL]
    period = seeing_all[0] + 1 if seeing_all else count + 1
    if not sizes and len(seeing_all) == count:
        raise in_no_body("a mask without windows (mask=layered has them)", "Gemma")
    if len(sizes) != 1 or seeing_all != [index for index in range(count) if (index + 1) % period == 0]:
        raise refused("mask", mask)
    return period, sizes.pop()


def check_queries(geometry: Gemma2Geometry | Gemma3Geometry, architecture: str) -> None:
    """Refuse queries that are divided by another number than llama.cpp derives from the sizes."""
    is_other = geometry.num_hidden_layers == OTHER_SCALE[architecture]
    derived = geometry.hidden_size // geometry.num_attention_heads if is_other else geometry.head_dim
    if geometry.query_pre_attn_scalar != derived:
        raise in_no_body(f"model.query_pre_attn_scalar other than {derived}", architecture)


def undivided(body: Body, geometry: DecoderGeometry, held: Composition) -> Body:
    """Return `body`; refuse what its architecture doesn't read: divisors of frequencies, and biases."""
    if held.divides:
        raise unheard("position", held.position, body.architecture)
    if geometry.attention_bias:
        raise in_no_body("model.attention_bias=true", body.architecture)
    return body


def check_all_seen(held: Composition) -> None:
    """Refuse a mask that hides something of a text."""
    if type(held.mask) not in SEEING_ALL:
        raise refused("mask", held.mask)


def check_attention(held: Composition, known: tuple[type[Attention], ...]) -> None:
    """Refuse a mechanism that is not among those `known`."""
    if type(held.attention) not in known:
        raise refused("attention", held.attention)


BODIES: dict[type[object], Callable[[Any, Composition], Body]] = {
    DecoderGeometry: llama,
    Qwen3Geometry: qwen3,
    Olmo2Geometry: olmo2,
    Smollm3Geometry: smollm3,
    Gemma2Geometry: gemma2,
    Gemma3Geometry: gemma3,
}
"""By the exact class, so that a new body has no home until somebody has written one and compared it."""
