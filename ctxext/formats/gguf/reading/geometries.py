"""The sizes of the model in a GGUF file, and what fills its three seams beside the position encoding.

What llama.cpp knows by heart and writes into no file, the layers without rotation of SmolLM 3 and Gemma's local ones,
is known by heart here too.
"""

from collections.abc import Callable
from typing import Any

from ctxext.attention.softmax import Softmax
from ctxext.formats.gguf.reading.settings import ModelSettings
from ctxext.mask.document import IntraDocument
from ctxext.mask.layered import Layered
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.families import Gemma2Geometry, Gemma3Geometry, Olmo2Geometry, Qwen3Geometry, Smollm3Geometry
from ctxext.model.geometry import DecoderGeometry
from ctxext.refusal import require
from ctxext.seams import Attention, Mask

EMBEDDING, HEAD, QUERY_BIAS = "token_embd.weight", "output.weight", "blk.0.attn_q.bias"
WINDOW = "attention.sliding_window"
EVERY_FOURTH = 4
"""Each fourth layer of SmolLM 3 doesn't turn."""
GEMMA2_PATTERN, GEMMA3_PATTERN = "SL", "SSSSSL"
MOST_LAYERS = 1024
LARGEST = {"gemma2": 46, "gemma3": 62}
"""The layers of Gemma's 27B, which alone scales its queries by the width of the model for each head."""
LOCAL_THETA = 10000.0


def read_geometry(settings: ModelSettings) -> DecoderGeometry:
    """Return the sizes of the network in `settings`; refuse, by key, what no body of ours computes."""
    sizes = read_sizes(settings)
    return GEOMETRIES[settings.name](settings, sizes)


def read_sizes(settings: ModelSettings) -> dict[str, Any]:
    """Return the fields that all geometries share."""
    tensors, width = settings.header.tensors, settings.count("embedding_length")
    heads = settings.count("attention.head_count")
    head_dim = settings.count("attention.key_length", max(width // heads, 1))
    values = settings.count("attention.value_length", head_dim)
    layers, rule = settings.count("block_count"), f"{settings.where('block_count')} must be at most {MOST_LAYERS}"
    require(layers <= MOST_LAYERS, f"{rule}, got {layers}")
    require(values == head_dim, f"{settings.where('attention.value_length')} must be {head_dim}, got {values}")
    require(EMBEDDING in tensors, f"{settings.header.file}: the tensor {EMBEDDING} is missing")
    rows = tensors[EMBEDDING].shape[0]
    stated = settings.count("vocab_size", rows)
    require(stated == rows, f"{settings.where('vocab_size')} is {stated}, but {EMBEDDING} has {rows} rows")
    return {
        "vocab_size": rows,
        "hidden_size": width,
        "intermediate_size": settings.count("feed_forward_length"),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": settings.count("attention.head_count_kv", heads),
        "head_dim": head_dim,
        "tie_word_embeddings": HEAD not in tensors,
        "rms_norm_eps": float(settings.number("attention.layer_norm_rms_epsilon")),
        "attention_bias": QUERY_BIAS in tensors,
    }


def llama(settings: ModelSettings, sizes: dict[str, Any]) -> DecoderGeometry:
    """Return the sizes of a Llama, a Mistral or a Qwen 2."""
    return DecoderGeometry(**sizes)


def qwen3(settings: ModelSettings, sizes: dict[str, Any]) -> DecoderGeometry:
    """Return the sizes of a Qwen 3."""
    return Qwen3Geometry(**sizes)


def olmo2(settings: ModelSettings, sizes: dict[str, Any]) -> DecoderGeometry:
    """Return the sizes of an OLMo 2."""
    return Olmo2Geometry(**sizes)


def smollm3(settings: ModelSettings, sizes: dict[str, Any]) -> DecoderGeometry:
    """Return the sizes of a SmolLM 3."""
    turned = tuple(int((index + 1) % EVERY_FOURTH != 0) for index in range(sizes["num_hidden_layers"]))
    return Smollm3Geometry(**sizes, no_rope_layers=turned)


def query_scalar(settings: ModelSettings, sizes: dict[str, Any]) -> float:
    """Return what a Gemma of these `sizes` divides the logits by the root of."""
    if sizes["num_hidden_layers"] == LARGEST[settings.name]:
        return float(sizes["hidden_size"] / sizes["num_attention_heads"])
    return float(sizes["head_dim"])


def cap(settings: ModelSettings, key: str) -> float:
    """Return the soft cap at `key`, or 0 for none."""
    return float(settings.number(key)) if settings.has(key) else 0.0


def gemma2(settings: ModelSettings, sizes: dict[str, Any]) -> DecoderGeometry:
    """Return the sizes of a Gemma 2."""
    return Gemma2Geometry(
        **sizes,
        query_pre_attn_scalar=query_scalar(settings, sizes),
        final_logit_softcapping=cap(settings, "final_logit_softcapping"),
    )


def gemma3(settings: ModelSettings, sizes: dict[str, Any]) -> DecoderGeometry:
    """Return the sizes of a Gemma 3, whose local layers turn by a theta of their own."""
    letters = local_letters(settings, sizes["num_hidden_layers"])
    return Gemma3Geometry(
        **sizes,
        query_pre_attn_scalar=query_scalar(settings, sizes),
        final_logit_softcapping=cap(settings, "final_logit_softcapping"),
        rope_local_base_freq=float(settings.number("rope.freq_base_swa", LOCAL_THETA)),
        local_layers=tuple(int(letter == "S") for letter in letters),
    )


def local_letters(settings: ModelSettings, count: int) -> str:
    """Return S for each layer of a Gemma 3 of `count` layers that sees a window, and L for each other."""
    key = "attention.sliding_window_pattern"
    stated = settings.header.values.get(f"{settings.name}.{key}")
    if isinstance(stated, list):
        require(len(stated) == count, f"{settings.where(key)} must name {count} layers, got {len(stated)}")
        return "".join("S" if is_local else "L" for is_local in stated)
    period = settings.count(key, len(GEMMA3_PATTERN))
    return "".join("L" if (index + 1) % period == 0 else "S" for index in range(count))


GEOMETRIES: dict[str, Callable[[ModelSettings, dict[str, Any]], DecoderGeometry]] = {
    "llama": llama,
    "qwen2": llama,
    "qwen3": qwen3,
    "olmo2": olmo2,
    "smollm3": smollm3,
    "gemma2": gemma2,
    "gemma3": gemma3,
}


def read_mask(settings: ModelSettings) -> Mask:
    """Return the mask of the model in `settings`: a Mistral's window, Gemma's local layers, or none."""
    if not settings.has(WINDOW):
        return IntraDocument()
    window = settings.count(WINDOW)
    if settings.name == "llama":
        return SlidingWindow(window)
    if settings.name == "gemma2":
        return Layered(GEMMA2_PATTERN, window, window, "constant")
    require(settings.name == "gemma3", f"{settings.where(WINDOW)} is {window}, and which layers it is of is unknown")
    return Layered(local_letters(settings, settings.count("block_count")), window, window, "constant")


def read_attention(settings: ModelSettings) -> Attention:
    """Return the attention of the model in `settings`, which caps its logits in Gemma 2."""
    capped = cap(settings, "attn_logit_softcapping") if settings.name == "gemma2" else 0.0
    if not capped:
        return Softmax()
    from ctxext.attention.softcap import SoftCap

    return SoftCap(capped)
