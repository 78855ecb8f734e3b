"""What a base brings along: its sizes, its length and its own seams, but never over what somebody chose."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from ctxext.attention.softcap import SoftCap
from ctxext.attention.softmax import Softmax
from ctxext.config.adoption import adopted, adopted_anew
from ctxext.config.building import build
from ctxext.config.legality import notes
from ctxext.config.schema import Run
from ctxext.mask.document import IntraDocument
from ctxext.mask.layered import Layered
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.families import Gemma2Geometry
from ctxext.position.dynamic import RopeDynamicNtk
from ctxext.position.llama3 import Llama3
from ctxext.position.partial import PRope
from ctxext.position.rope import Rope, RopeInterp, Yarn
from ctxext.refusal import Refusal

LENGTH = "original_max_position_embeddings"
SIZES: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
}
LINEAR = {"rope_type": "linear", "rope_theta": 5e5, "factor": 4.0}
BANDS = {"rope_type": "llama3", "factor": 2.0, LENGTH: 16, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


@pytest.fixture
def settle(composed: Callable[..., DictConfig]) -> Callable[..., Run]:
    """The run of what was typed, with what its base brings."""
    return lambda *words: build(adopted(composed(*words), words))


@pytest.fixture
def based(tmp_path: Path, settle: Callable[..., Run]) -> Callable[..., Run]:
    """The run of a base of a kind, with keys of its config.json, and of what was typed."""

    def run(kind: str, content: dict[str, Any], *words: str) -> Run:
        (tmp_path / "config.json").write_text(json.dumps(SIZES | {"model_type": kind} | content))
        base = ("base=hf", f"base.path={tmp_path}", "context_length=256", "evaluation.lengths=[128,256]")
        return settle(*base, *words)

    return run


def test_an_untouched_base_is_taken_whole(based: Callable[..., Run]) -> None:
    run = based("gemma2", {"sliding_window": 8, "attn_logit_softcapping": 3.0, "rope_theta": 5e4})

    assert isinstance(run.model, Gemma2Geometry)
    assert (run.model.vocab_size, run.model.final_logit_softcapping) == (97, 30.0)
    assert run.base.trained_length == 64
    assert (run.position, run.attention) == (Rope(5e4), SoftCap(3.0))
    assert run.mask == Layered("SL", 8, 8, "constant")


def test_a_method_takes_the_place_of_its_own_seam_alone(based: Callable[..., Run]) -> None:
    windowed, capped = {"sliding_window": 8}, {"sliding_window": 8, "attn_logit_softcapping": 3.0}

    extended = based("mistral", windowed, "+method=yarn")
    assert isinstance(extended.position, Yarn)
    assert extended.mask == SlidingWindow(8)
    assert based("gemma2", capped, "+method=rope_interp").attention == SoftCap(3.0)
    assert isinstance(based("mistral", windowed, "+method=streaming_llm").mask, Sinks)


def test_what_was_typed_stays(based: Callable[..., Run]) -> None:
    windowed = {"sliding_window": 8}
    assert based("mistral", windowed, "mask=document").mask == IntraDocument()
    assert based("mistral", windowed, "attention=softmax").attention == Softmax()
    assert based("mistral", windowed, "base.trained_length=32").base.trained_length == 32
    assert based("llama", {}, "+method=yarn", "position.factor=3").position.factor == 3


def test_a_size_that_was_typed_stands_among_the_base_s_own(based: Callable[..., Run]) -> None:
    run = based("llama", {}, "model.hidden_size=64")
    assert (run.model.hidden_size, run.model.vocab_size) == (64, 97)  # type: ignore[union-attr]


@pytest.mark.parametrize("word", ["position.rope_theta=300.0", "position=rope"])
def test_another_theta_than_the_base_s_is_refused(word: str, based: Callable[..., Run]) -> None:
    with pytest.raises(Refusal, match="can't take the weights"):
        based("llama", {"rope_theta": 5e4}, word, "position.rope_theta=300.0")


def test_a_rotary_method_begins_at_the_base_s_theta(based: Callable[..., Run]) -> None:
    assert based("llama", {"rope_theta": 5e4}, "+method=rope_interp").position == RopeInterp(5e4, 4.0)
    assert based("smollm3", {}, "+method=rope_interp").position == RopeInterp(2e6, 4.0)


def test_a_method_counts_from_where_the_base_was_scaled_already(based: Callable[..., Run]) -> None:
    assert based("llama", {"rope_parameters": LINEAR}).position == RopeInterp(5e5, 4.0)
    assert based("llama", {"rope_parameters": LINEAR}, "+method=rope_interp").position == RopeInterp(5e5, 16.0)

    own = based("llama", {"rope_parameters": BANDS}).position
    assert own == Llama3(1e4, 2.0, 16, 1.0, 4.0)
    yarn: Any = based("llama", {"rope_parameters": BANDS}, "+method=yarn").position
    assert (yarn.factor, yarn.original_max_position_embeddings) == (16.0, 16)


def test_position_rope_is_the_base_s_own_encoding_also_where_it_is_typed(based: Callable[..., Run]) -> None:
    bands, linear = {"rope_parameters": BANDS}, {"rope_parameters": LINEAR}
    assert based("llama", bands, "position=rope").position == Llama3(1e4, 2.0, 16, 1.0, 4.0)
    assert based("llama", linear, "position=rope").position == RopeInterp(5e5, 4.0)
    assert based("llama", {"rope_theta": 5e4}, "position=rope").position == Rope(5e4)
    with pytest.raises(Refusal, match="can't take the weights"):
        based("llama", bands, "position=rope", "position.rope_theta=300.0")


def test_a_seam_of_a_run_that_is_chosen_anew_counts_from_the_base(
    tmp_path: Path, based: Callable[..., Run], composed: Callable[..., DictConfig]
) -> None:
    based("mistral", {"rope_parameters": BANDS, "sliding_window": 8})
    words = ("base=hf", f"base.path={tmp_path}", "context_length=256", "evaluation.lengths=[128,256]")
    kept: Any = "kept as it is"

    def anew(*chosen: str) -> Any:
        saved = composed(*words, *chosen)
        saved.base.trained_length = 64
        saved.model = kept
        return adopted_anew(saved, chosen)

    assert anew("seed=3").position._target_.endswith("Rope")
    assert anew("position=rope").position._target_.endswith("Llama3")
    assert anew("position=rope").mask._target_.endswith("IntraDocument")
    extended = anew("+method=yarn")
    assert (extended.position.factor, extended.position[LENGTH], extended.mask.window) == (16.0, 16, 8)
    assert extended.model == kept


def test_of_a_base_s_own_numbers_nothing_is_remarked(based: Callable[..., Run]) -> None:
    bands, share = BANDS | {"factor": 3.0}, {"rope_type": "proportional", "partial_rotary_factor": 0.5}
    for rope in (bands, share):
        said = " ".join(notes(based("llama", {"rope_parameters": rope}, "trainer.steps=0")))
        assert "position.factor" not in said
        assert "trains nothing" not in said


@pytest.mark.parametrize("method", ["yarn", "rope_interp", "nope"])
def test_half_turned_heads_give_way_to_no_method(method: str, based: Callable[..., Run]) -> None:
    half = {"rope_parameters": {"rope_type": "proportional", "partial_rotary_factor": 0.5}}
    assert based("llama", half, "position=rope").position == PRope(1e4, 0.5)
    with pytest.raises(Refusal, match=r"which were trained with p_rope; add base=none, or use position=rope"):
        based("llama", half, f"position={method}")


def test_a_dynamic_base_was_trained_at_the_length_that_it_counts_from(based: Callable[..., Run]) -> None:
    run = based("llama", {"rope_scaling": {"type": "dynamic", "factor": 2.0}})
    assert run.position == RopeDynamicNtk(1e4, 2.0, 64)
    assert run.base.trained_length == 64


def test_a_window_wider_than_all_lengths_is_the_base_s_own_business(based: Callable[..., Run]) -> None:
    run = based("mistral", {"sliding_window": 4096})
    assert run.mask == SlidingWindow(4096)
    assert not any("mask.window=4096" in line and "narrows" in line for line in notes(run))
    with pytest.raises(Refusal, match=r"mask\.window=4096 sees all of every length"):
        based("llama", {}, "mask=sliding_window", "mask.window=4096")


def test_another_mechanism_than_the_base_s_is_refused_with_the_base_s_name(based: Callable[..., Run]) -> None:
    with pytest.raises(Refusal, match="which had softcap; add base=none, or use attention=softcap"):
        based("gemma2", {"sliding_window": 8}, "attention=softmax")


def test_without_a_path_nothing_is_adopted(settle: Callable[..., Run]) -> None:
    assert settle("base=none").position == Rope(10000.0)
    with pytest.raises(Refusal, match=r"base\.path has no value"):
        settle("base=hf")
