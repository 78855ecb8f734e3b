"""Which compositions Hugging Face's own classes can hold, and in which words."""

from dataclasses import dataclass, replace
from typing import Any

from ctxext.attention.temperature import Ministral3Temperature
from ctxext.formats.huggingface.writing.bodies import body
from ctxext.formats.huggingface.writing.composition import Composition, composition
from ctxext.formats.huggingface.writing.reasons import NotExportable, chosen, together, unhoused
from ctxext.formats.huggingface.writing.rope_notes import notes
from ctxext.formats.huggingface.writing.ropes import LENGTH, both_spellings, is_static, parameters, static
from ctxext.model.families import Gemma3Geometry
from ctxext.model.geometry import DecoderGeometry, Geometry, LstmGeometry, VanillaGeometry
from ctxext.position.dynamic import RopeDynamicNtk
from ctxext.position.partial import PartialRope
from ctxext.position.rope import Rope
from ctxext.seams import Attention, Mask, Position

__all__ = ["Home", "NotExportable", "home"]


@dataclass(frozen=True)
class Home:
    """The `config` keys that make a reader build the composition, and `notes` on readers that are known to differ."""

    config: dict[str, Any]
    notes: tuple[str, ...]


def home(geometry: Geometry, position: Position, mask: Mask, attention: Attention) -> Home:
    """Return where the composition lives; raise NotExportable, naming the part, if no reader can hold it."""
    words = body(geometry)
    assert not isinstance(geometry, LstmGeometry), "it has no words"
    made = composition(geometry, position, mask, attention)
    if isinstance(geometry, VanillaGeometry):
        return Home(words(made), (BOUNDED,))
    keys = words(made)
    require_partial(made, keys["model_type"])
    spelt, rope = ropes(made)
    config = sizes(geometry) | keys | spelt | trained(position)
    return Home(config, (*notes(rope), *of_kind(keys["model_type"], rope["rope_type"])))


BOUNDED = "It has a row for each position, and refuses longer texts."
NOTES = {
    "ministral3": "Only transformers from 5 on knows model_type=ministral3; older ones refuse to load it.",
    "gemma2": "Kernels that know no soft cap drop it; transformers is told to use attn_implementation=eager.",
}


def of_kind(kind: str, rope_type: str) -> tuple[str, ...]:
    """Return what a user must know of a model of a `kind` whose rotation is of `rope_type`."""
    if kind == "olmo2" and rope_type not in ("default", "linear", "dynamic"):
        return (f"Of OLMo 2, transformers 4 refuses to load rope_type={rope_type}; 5 reads it.",)
    return (NOTES[kind],) if kind in NOTES else ()


def require_partial(made: Composition, kind: str) -> None:
    """Refuse the rotation of a part of each head in models of a `kind` that would turn whole heads in silence."""
    if kind != "phi3" and any(type(encoding) is PartialRope for encoding in made.encodings):
        raise unhoused("position", made.position)


def ropes(made: Composition) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keys of the rotation of `made` in both spellings, and the parameters by themselves."""
    width = made.geometry.sizes.head_dim
    if isinstance(made.geometry, Gemma3Geometry):
        return by_layer(made, made.geometry)
    encoding = made.rotation()
    rope = parameters(encoding, made.position, width)
    if isinstance(made.gathering, Ministral3Temperature):
        rope = tempered(rope, encoding, made)
    return both_spellings(rope), rope


def by_layer(made: Composition, geometry: Gemma3Geometry) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keys of Gemma 3, whose layers with a window have a rotation of their own."""
    width = geometry.head_dim
    local = Rope(geometry.rope_local_base_freq)
    whole = {encoding for encoding, window in zip(made.encodings, made.windows, strict=True) if not window}
    rope = parameters(replace(made, encodings=tuple(whole) or (local,)).rotation(), made.position, width)
    nested = {"full_attention": rope, "sliding_attention": parameters(local, made.position, width)}
    theta = {"rope_local_base_freq": float(local.rope_theta)}
    return both_spellings(rope) | theta | {"rope_parameters": nested}, rope


def tempered(rope: dict[str, Any], encoding: Position, made: Composition) -> dict[str, Any]:
    """Return `rope` with the temperature of `made`; both count from one length, which not every kind of rope states."""
    gathering: Ministral3Temperature = made.gathering  # type: ignore[assignment]
    length = gathering.original_max_position_embeddings
    if rope.get(LENGTH) != length:
        if not isinstance(encoding, Rope) or not is_static(encoding):
            why = "Ministral 3 holds one original_max_position_embeddings for both"
            raise together(why, chosen("position", made.position), chosen("attention", made.attention))
        rope = static(encoding, made.geometry.sizes.head_dim, getattr(encoding, "factor", 1.0), length)
    return rope | {"llama_4_scaling_beta": float(gathering.llama_4_scaling_beta)}


def trained(position: Position) -> dict[str, Any]:
    """Return the length from which dynamic scaling counts, where its readers look for it."""
    if isinstance(position, RopeDynamicNtk):
        return {"max_position_embeddings": position.original_max_position_embeddings}
    return {}


def sizes(geometry: DecoderGeometry) -> dict[str, Any]:
    """Return the sizes of the network, and what every network of this family here has in common."""
    return {
        "vocab_size": geometry.vocab_size,
        "hidden_size": geometry.hidden_size,
        "intermediate_size": geometry.intermediate_size,
        "num_hidden_layers": geometry.num_hidden_layers,
        "num_attention_heads": geometry.num_attention_heads,
        "num_key_value_heads": geometry.num_key_value_heads,
        "head_dim": geometry.head_dim,
        "tie_word_embeddings": geometry.tie_word_embeddings,
        "rms_norm_eps": geometry.rms_norm_eps,
        "hidden_act": "silu",
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "use_cache": True,
    }
