"""Exports to GGUF, with their labels; what is in the files is read in test_writing.py."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from ctxext.attention.softcap import SoftCap
from ctxext.attention.softmax import Softmax
from ctxext.formats.companions import plain_companions
from ctxext.formats.gguf import export
from ctxext.formats.gguf.export import AS_DIVISORS, BY_CONTEXT, export_gguf, labelled
from ctxext.mask.document import IntraDocument
from ctxext.mask.layered import Layered
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.decoder import Decoder
from ctxext.model.families import Gemma2Geometry, Gemma3Geometry, Olmo2Geometry, Qwen3Geometry, Smollm3Geometry
from ctxext.model.geometry import DecoderGeometry, LstmGeometry
from ctxext.position.dynamic import DynamicYarn, RopeDynamicNtk
from ctxext.position.llama3 import Llama3
from ctxext.position.longrope import LongRope
from ctxext.position.nope import Nope
from ctxext.position.partial import PRope
from ctxext.position.rope import Rope, RopeByParts, RopeInterp, RopeNtk, Yarn
from ctxext.position.rope_nope import RopeNope

TRAINED, TARGET = 64, 256
SIZES = (301, 32, 48, 4, 4, 2, 8, True, 1e-5)
LLAMA = DecoderGeometry(*SIZES)
BIASED = DecoderGeometry(*SIZES, attention_bias=True)
UNTIED = DecoderGeometry(333, 48, 40, 2, 3, 3, 20, False, 1e-6)
GEMMA2 = Gemma2Geometry(*SIZES, query_pre_attn_scalar=8.0, final_logit_softcapping=5.0)
GEMMA3 = Gemma3Geometry(
    *SIZES,
    query_pre_attn_scalar=8.0,
    final_logit_softcapping=0.0,
    rope_local_base_freq=5000.0,
    local_layers=(1, 1, 0, 1),
)
YARN = Yarn(10000.0, 4.0, TRAINED, 32.0, 1.0, 0.1 * math.log(4) + 1)
TWO_LISTS = LongRope(10000.0, 4.0, TRAINED, (1.0,) * 4, (1.0, 2.0, 3.0, 4.0), 1.1)
DecoderOf = Callable[..., Decoder]
Export = Callable[..., dict[str, Any]]


@pytest.fixture
def exported(tmp_path: Path, tokenizer: Tokenizer) -> Export:
    """Return a function that exports a network as `tmp_path`/export/model.gguf."""

    def function(model: Any, kind: str = "F32") -> dict[str, Any]:
        companions = plain_companions(tokenizer)
        return export_gguf(tmp_path / "export" / "model.gguf", model, tokenizer, companions, TARGET, TRAINED, kind)

    return function


@pytest.mark.parametrize(
    ("geometry", "members"),
    [
        *((LLAMA, (position,)) for position in (Rope(500000.0), RopeInterp(10000.0, 4.0), RopeNtk(10000.0, 4.0), YARN)),
        *((LLAMA, (position,)) for position in (RopeByParts(10000.0, 4.0, TRAINED, 32.0, 1.0), PRope(10000.0, 0.5))),
        *((LLAMA, (position,)) for position in (Llama3(10000.0, 4.0, TRAINED, 1.0, 4.0), Nope(), RopeNope(10000.0, 4))),
        (BIASED, (YARN,)),
        (BIASED, (Llama3(10000.0, 4.0, TRAINED, 1.0, 4.0),)),
        (UNTIED, (YARN,)),
        (Qwen3Geometry(*SIZES), (YARN,)),
        (Olmo2Geometry(*SIZES), (YARN,)),
        (Smollm3Geometry(*SIZES, no_rope_layers=(1, 1, 1, 0)), (YARN,)),
        (GEMMA2, (YARN, Layered("SL", 20, 20, "constant"), SoftCap(3.0))),
        (GEMMA3, (YARN, Layered("SSL", 20, 20, "constant"))),
    ],
)
def test_each_composition_with_a_home_is_read_back_exactly(
    tmp_path: Path, exported: Export, decoder_of: DecoderOf, geometry: Any, members: tuple[Any, ...]
) -> None:
    label = exported(decoder_of(*members, geometry=geometry))
    assert (label["format"], label["type"], label["label"]) == ("gguf", "F32", "exact")
    assert label["max_logit_difference"] <= 1e-5
    assert [file.name for file in (tmp_path / "export").iterdir()] == ["model.gguf"]


@pytest.mark.parametrize(("kind", "most"), [("F16", 0.05), ("Q8_0", 0.5)])
def test_rounded_weights_are_an_approximation_with_its_number(
    exported: Export, decoder_of: DecoderOf, kind: str, most: float
) -> None:
    label = exported(decoder_of(YARN), kind)
    assert (label["label"], label["reason"]) == ("approximate", f"weights are rounded to {kind}")
    assert 1e-5 < label["max_logit_difference"] < most


def test_two_lists_of_longrope_are_an_approximation_since_llama_cpp_chooses_otherwise(
    exported: Export, decoder_of: DecoderOf
) -> None:
    label = exported(decoder_of(TWO_LISTS))
    assert (label["label"], label["reason"]) == ("approximate", BY_CONTEXT)
    assert label["max_logit_difference"] > 1e-3
    assert label["notes"][0].startswith("llama.cpp takes the long factors once it is opened with a context beyond")


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ((RopeDynamicNtk(10000.0, 4.0, TRAINED),), "position=rope_dynamic_ntk has no home in llama.cpp: its frequ"),
        ((DynamicYarn(10000.0, TRAINED, 32.0, 1.0),), "position=dynamic_yarn has no home in llama.cpp"),
        (
            (YARN, SlidingWindow(20)),
            "mask=sliding_window has no home in llama.cpp: its Llama and Qwen 2 see everything",
        ),
        ((YARN, IntraDocument(), SoftCap(5.0)), "attention=softcap has no home in llama.cpp"),
    ],
)
def test_what_has_no_home_is_refused_and_leaves_no_file(
    tmp_path: Path, exported: Export, decoder_of: DecoderOf, members: tuple[Any, ...], sentence: str
) -> None:
    label = exported(decoder_of(*members))
    assert (label["format"], label["label"]) == ("gguf", "not exportable")
    assert label["reason"].startswith(sentence)
    assert list(tmp_path.rglob("*.gguf")) == []


def test_another_network_is_refused(exported: Export) -> None:
    network = LstmGeometry(301, 8, 8, 1).build(Nope(), IntraDocument(), Softmax())
    assert exported(network)["reason"] == "model=lstm has no home in llama.cpp: it has no such network"


def test_a_file_that_says_another_model_is_not_kept(
    tmp_path: Path, exported: Export, decoder_of: DecoderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exported(decoder_of(YARN))["label"] == "exact"
    monkeypatch.setattr(
        "ctxext.formats.gguf.writing.homes.attention_factor", lambda *anything: {"scaling.attn_factor": 1.14}
    )

    label = exported(decoder_of(YARN))

    assert label["label"] == "not exportable"
    assert label["reason"].startswith("the file says another model, its logits differ by ")
    assert list((tmp_path / "export").iterdir()) == [], "an earlier one would pass for this"


@pytest.mark.parametrize(("number", "kind"), [(1e5, "F16"), (1e7, "Q8_0"), (math.nan, "F32")])
def test_weights_that_a_type_cannot_hold_are_refused(
    exported: Export, decoder_of: DecoderOf, number: float, kind: str
) -> None:
    model = decoder_of(YARN)
    with torch.no_grad():
        model.layers[0].self_attn.v_proj.weight[0, 0] = number
    label = exported(model, kind)
    assert label["label"] == "not exportable"
    assert label["reason"] == f"blk.0.attn_v.weight holds {number:.3g}, which {kind} cannot hold"


def test_nothing_is_left_of_an_export_that_failed(
    tmp_path: Path, exported: Export, decoder_of: DecoderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "measure", lambda *anything: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        exported(decoder_of(YARN))
    assert list((tmp_path / "export").iterdir()) == []


def test_a_label_names_the_largest_cause_and_measures_it_by_the_largest_logit() -> None:
    exact = {"label": "exact", "max_logit_difference": 2e-6, "max_logit": 1.0}
    assert labelled({AS_DIVISORS: 1e-6, "a": 2e-6}, 1.0) == exact
    assert labelled({AS_DIVISORS: 2e-5, "a": 2e-5}, 1.0)["reason"] == AS_DIVISORS
    assert labelled({AS_DIVISORS: 2e-5, "a": 2e-5}, 20.0)["label"] == "exact"
