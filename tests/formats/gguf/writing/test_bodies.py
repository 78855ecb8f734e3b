"""Which bodies have a home in llama.cpp, with which masks, mechanisms and positions."""

from dataclasses import replace
from typing import Any

import pytest

from ctxext.attention.softcap import SoftCap
from ctxext.attention.softmax import Softmax
from ctxext.attention.temperature import Temperature
from ctxext.formats.gguf.writing.bodies import BODIES, Body, Composition, windows
from ctxext.formats.huggingface.writing.reasons import NotExportable
from ctxext.mask.document import IntraDocument
from ctxext.mask.layered import Layered
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.families import Gemma2Geometry, Gemma3Geometry, Olmo2Geometry, Qwen3Geometry, Smollm3Geometry
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.position.rope_nope import RopeNope

SIZES = (301, 32, 48, 6, 4, 2, 8, True, 1e-5)
LLAMA, QWEN3, OLMO2 = DecoderGeometry(*SIZES), Qwen3Geometry(*SIZES), Olmo2Geometry(*SIZES)
SMOLLM3 = Smollm3Geometry(*SIZES, no_rope_layers=(1, 1, 1, 0, 1, 1))
GEMMA2 = Gemma2Geometry(*SIZES, query_pre_attn_scalar=8.0, final_logit_softcapping=5.0)
GEMMA3 = Gemma3Geometry(
    *SIZES,
    query_pre_attn_scalar=8.0,
    final_logit_softcapping=0.0,
    rope_local_base_freq=5000.0,
    local_layers=(1, 1, 0, 1, 1, 0),
)
PLAIN = Composition(Rope(10000.0), IntraDocument(), Softmax(), divides=False, sharpens=False)
IN_TURN = replace(PLAIN, mask=Layered("SL", 10, 10, "constant"), attention=SoftCap(50.0))
TWO_OF_THREE = replace(PLAIN, mask=Layered("SSL", 10, 10, "constant"))
EVERY_FOURTH, EVERY_OTHER = (replace(PLAIN, position=RopeNope(10000.0, every)) for every in (4, 2))


def housed(geometry: Any, held: Composition) -> Body:
    return BODIES[type(geometry)](geometry, held)


@pytest.mark.parametrize(
    ("geometry", "held", "architecture"),
    [
        (LLAMA, PLAIN, "llama"),
        (LLAMA, EVERY_FOURTH, "smollm3"),
        (replace(LLAMA, attention_bias=True), PLAIN, "qwen2"),
        (replace(LLAMA, attention_bias=True), replace(PLAIN, divides=True), "llama"),
        (replace(LLAMA, attention_bias=True, head_dim=10), PLAIN, "llama"),
        (QWEN3, PLAIN, "qwen3"),
        (OLMO2, PLAIN, "olmo2"),
        (SMOLLM3, PLAIN, "smollm3"),
        (GEMMA2, IN_TURN, "gemma2"),
        (GEMMA3, TWO_OF_THREE, "gemma3"),
    ],
)
def test_each_body_has_an_architecture(geometry: Any, held: Composition, architecture: str) -> None:
    assert housed(geometry, held).architecture == architecture


def test_gemma_writes_its_windows_and_caps() -> None:
    assert housed(GEMMA2, IN_TURN).keys == {
        "attention.sliding_window": 10,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 5.0,
    }
    assert housed(GEMMA3, TWO_OF_THREE).keys == {
        "attention.sliding_window": 10,
        "attention.sliding_window_pattern": 3,
        "rope.freq_base_swa": 5000.0,
    }


@pytest.mark.parametrize(
    ("geometry", "held", "sentence"),
    [
        (LLAMA, replace(PLAIN, mask=SlidingWindow(8)), "mask=sliding_window has no home in llama.cpp: its Llama"),
        (LLAMA, replace(PLAIN, attention=SoftCap(5.0)), "attention=softcap has no home in llama.cpp: only Gemma 2's"),
        (LLAMA, EVERY_OTHER, "layers without rotation other than each 4th has no home in llama.cpp's smollm3"),
        (LLAMA, replace(EVERY_FOURTH, attention=Temperature(1.2)), "attention=temperature has no home"),
        (
            replace(LLAMA, attention_bias=True),
            EVERY_FOURTH,
            "model.attention_bias=true has no home in llama.cpp's smollm3",
        ),
        (QWEN3, replace(PLAIN, divides=True), "position=rope has no home in llama.cpp's qwen3: it divides no"),
        (OLMO2, replace(PLAIN, divides=True), "position=rope has no home in llama.cpp's olmo2: it divides no"),
        (
            replace(OLMO2, head_dim=10),
            PLAIN,
            "model.head_dim x model.num_attention_heads that is not model.hidden_size",
        ),
        (replace(SMOLLM3, no_rope_layers=(1, 0) * 3), PLAIN, "layers without rotation other than each 4th"),
        (GEMMA2, replace(IN_TURN, attention=Softmax()), "an attention that is not attention=softcap"),
        (GEMMA2, replace(TWO_OF_THREE, attention=SoftCap(5.0)), "a mask that is no window in every other layer"),
        (
            GEMMA2,
            replace(IN_TURN, mask=IntraDocument()),
            "a mask without windows (mask=layered has them) has no home in llama.cpp's Gemma",
        ),
        (replace(GEMMA2, final_logit_softcapping=0.0), IN_TURN, "model.final_logit_softcapping=0 or"),
        (replace(GEMMA2, tie_word_embeddings=False), IN_TURN, "model.final_logit_softcapping=0 or"),
        (replace(GEMMA2, query_pre_attn_scalar=9.0), IN_TURN, "model.query_pre_attn_scalar other than 8 has no home"),
        (GEMMA3, replace(TWO_OF_THREE, sharpens=True), "an attention_factor other than YaRN's"),
        (GEMMA3, replace(TWO_OF_THREE, divides=True), "position=rope has no home in llama.cpp's gemma3"),
        (GEMMA3, replace(PLAIN, mask=Layered("SL", 10, 10, "constant")), "a mask whose windows are not in the layers"),
    ],
)
def test_what_no_file_can_say_is_refused(geometry: Any, held: Composition, sentence: str) -> None:
    with pytest.raises(NotExportable) as raised:
        housed(geometry, held)
    assert str(raised.value).startswith(sentence)


def test_the_largest_gemma_scales_its_queries_by_the_width_of_the_model() -> None:
    largest = replace(GEMMA2, num_hidden_layers=46, head_dim=10)
    assert housed(replace(largest, query_pre_attn_scalar=8.0), IN_TURN).architecture == "gemma2"
    with pytest.raises(NotExportable, match="query_pre_attn_scalar other than 8 "):
        housed(replace(largest, query_pre_attn_scalar=10.0), IN_TURN)


def test_windows_are_of_one_size_in_all_layers_but_each_nth() -> None:
    assert windows(GEMMA3, Layered("SSL", 10, 10, "constant")) == (3, 10)
    assert windows(GEMMA3, SlidingWindow(9)) == (7, 9), "no layer is a seventh"
    for mask in (Layered("SL", 10, 20, "linear"), Layered("LS", 10, 10, "constant"), Layered("CL", 9, 9, "constant")):
        with pytest.raises(NotExportable):
            windows(GEMMA3, mask)
