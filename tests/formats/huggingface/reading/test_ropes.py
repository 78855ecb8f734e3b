"""Rotary keys: each type, in the words of transformers 5 and 4, gives the logits of transformers, or is refused."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.formats.huggingface.reading.folder import HuggingFaceBase
from ctxext.position.longrope import LongRope
from ctxext.position.rope import Rope, Yarn
from ctxext.refusal import Refusal

FolderOf = Callable[..., Path]
LENGTH = "original_max_position_embeddings"
LISTS = {"short_factor": [1.0, 1.1, 1.3, 1.5], "long_factor": [1.0, 2.0, 3.0, 4.0]}
BANDS = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
TYPES: dict[str, dict[str, Any]] = {
    "default": {"rope_type": "default"},
    "linear": {"rope_type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 3},
    "yarn": {"rope_type": "yarn", "factor": 4.0, LENGTH: 16},
    "yarn without a length": {"rope_type": "yarn", "factor": 4.0},
    "yarn, a null and a zero": {"rope_type": "yarn", "factor": 4.0, LENGTH: 16, "beta_fast": 0, "beta_slow": None},
    "yarn with its details": {"rope_type": "yarn", "factor": 2.0, LENGTH: 16, "beta_fast": 4.0, "beta_slow": 0.5},
    "yarn, not sharpened": {"rope_type": "yarn", "factor": 4.0, LENGTH: 16, "attention_factor": 1.0},
    "yarn by mscale": {"rope_type": "yarn", "factor": 4.0, LENGTH: 16, "mscale": 1.0, "mscale_all_dim": 0.5},
    "yarn by one mscale": {"rope_type": "yarn", "factor": 4.0, LENGTH: 16, "mscale": 0.5},
    "longrope": {"rope_type": "longrope", "factor": 4.0, LENGTH: 64, **LISTS},
    "longrope by its lengths": {"rope_type": "longrope", LENGTH: 8, **LISTS},
    "longrope, sharpened": {"rope_type": "longrope", LENGTH: 16, "attention_factor": 1.3, **LISTS},
    "llama3": {"rope_type": "llama3", "factor": 4.0, LENGTH: 16, **BANDS},
    "proportional": {"rope_type": "proportional", "partial_rotary_factor": 0.5},
}


def newer(rope: dict[str, Any]) -> dict[str, Any]:
    """Return the changes of a config that state `rope` as transformers 5 does."""
    return {"rope_parameters": rope | {"rope_theta": 500.0}}


def older(rope: dict[str, Any]) -> dict[str, Any]:
    """Return the changes of a config that state `rope` as transformers 4 does, its type under the oldest key."""
    scaling = {"type": rope["rope_type"], **{key: value for key, value in rope.items() if key != "rope_type"}}
    return {"rope_parameters": None, "rope_scaling": scaling, "rope_theta": 500.0}


def fitted(name: str) -> dict[str, Any]:
    """Return what else must change so that the type `name` has a length to count from."""
    return {"max_position_embeddings": 64} if name == "longrope" else {}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("spelling", [newer, older], ids=["newer", "older"])
@pytest.mark.parametrize("name", sorted(TYPES))
def test_each_type_gives_the_logits_of_transformers(
    name: str, spelling: Any, folder_of: FolderOf, logit_difference: Callable[..., float]
) -> None:
    folder = folder_of("llama", **spelling(TYPES[name]), **fitted(name))
    assert logit_difference(folder) < 2e-5


@pytest.mark.parametrize("name", [name for name in sorted(TYPES) if name != "default"])
def test_a_scaling_that_were_dropped_would_show(
    name: str, folder_of: FolderOf, logit_difference: Callable[..., float]
) -> None:
    def dropped(network: Any) -> Any:
        return network.reading(Rope(500.0), network.mask, network.attention)

    folder = folder_of("llama", **newer(TYPES[name]), **fitted(name))
    assert logit_difference(folder, dropped) > 1e-3


@pytest.mark.parametrize("kind", ["mistral", "qwen2", "qwen3", "smollm3", "olmo2", "gemma2"])
def test_other_bodies_are_scaled_alike(kind: str, folder_of: FolderOf, logit_difference: Callable[..., float]) -> None:
    assert logit_difference(folder_of(kind, **newer(TYPES["yarn"]))) < 2e-5


@pytest.mark.parametrize("name", ["linear", "yarn", "longrope", "llama3"])
def test_gemma_3_scales_its_global_layers_alone(
    name: str, folder_of: FolderOf, logit_difference: Callable[..., float]
) -> None:
    local = {"rope_type": "default", "rope_theta": 300.0}
    both = {"full_attention": TYPES[name] | {"rope_theta": 500.0}, "sliding_attention": local}
    assert logit_difference(folder_of("gemma3_text", rope_parameters=both, **fitted(name))) < 2e-5
    scaled = older(TYPES[name]) | {"rope_scaling": TYPES[name], "rope_local_base_freq": 300.0} | fitted(name)
    assert logit_difference(folder_of("gemma3_text", **scaled)) < 2e-5


def test_the_trained_length_is_the_one_that_dynamic_counts_from(folder_of: FolderOf) -> None:
    base = HuggingFaceBase(folder_of("llama", **newer(TYPES["dynamic"])))
    position: Any = base.members()[0]
    assert base.trained_length() == position.original_max_position_embeddings == 32


def test_an_original_length_beside_the_object_is_taken(folder_of: FolderOf) -> None:
    rope = {key: value for key, value in TYPES["longrope by its lengths"].items() if key != LENGTH}
    position = HuggingFaceBase(folder_of("llama", **newer(rope), **{LENGTH: 8})).members()[0]
    assert isinstance(position, LongRope)
    assert (position.original_max_position_embeddings, position.factor) == (8, 4.0)


def test_keys_that_readers_do_not_look_at_are_passed_over(folder_of: FolderOf) -> None:
    rope = TYPES["yarn"] | {"finetuned": True, "mscale": None}
    found = HuggingFaceBase(folder_of("llama", **newer(rope))).members()[0]
    assert found == Yarn(500.0, 4.0, 16, 32.0, 1.0, 0.1 * math.log(4) + 1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rope_type": "ntk"}, "rope_type must be one of default, dynamic, linear, llama3"),
        ({"rope_type": "yarm"}, "did you mean 'yarn'"),
        ({"rope_type": ["yarn"]}, "rope_type must be one of"),
        ({"factor": 0}, "factor must be a number above 0, got 0"),
        ({"factor": -2.0}, "factor must be a number above 0, got -2.0"),
        ({"factor": 0.5}, "factor must be at least 1, got 0.5"),
        ({"factor": "4"}, "factor must be a number above 0, got '4'"),
        ({"factor": float("inf")}, "factor must be a number above 0, got inf"),
        ({"factor": None}, "factor is missing; it must be a number above 0"),
        ({"rope_theta": 0.5}, "rope_theta must be above 1"),
        ({LENGTH: 64}, f"{LENGTH} must be at most max_position_embeddings=32, got 64"),
        ({"truncate": False}, "truncate must be true"),
        ({"beta_fast": 1.0, "beta_slow": 2.0}, "beta_fast must be above"),
        ({"attention_factor": 0}, "attention_factor must be a number above 0"),
        ({"betafast": 16.0}, "betafast is no key of rope_type=yarn; did you mean 'beta_fast'"),
        ({"mrope_section": [1, 1, 2]}, "mrope_section is no key of rope_type=yarn"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor must be 1"),
        ({"type": "linear"}, "rope_type is 'yarn', but rope_parameters.type is 'linear'"),
        ({"rope_type": "default"}, "is no key of rope_type=default"),
        ({"rope_type": "longrope", **LISTS, "long_factor": [1.0, 2.0]}, "long_factor needs 4 numbers"),
        ({"rope_type": "longrope", **LISTS, "short_factor": [1.0] * 5}, "short_factor needs 4 numbers"),
        (
            {"rope_type": "longrope", **LISTS, "long_factor": [1, 2, 3, 0]},
            "long_factor must be a number above 0, got 0",
        ),
        ({"rope_type": "longrope", **LISTS, "long_factor": 2.0}, "long_factor must be a list, got 2.0"),
        ({"rope_type": "llama3", "low_freq_factor": 1.0}, "high_freq_factor is missing; it must be a number above 0"),
        ({"rope_type": "llama3", "low_freq_factor": 4.0, "high_freq_factor": 1.0}, "high_freq_factor must be above"),
        ({"rope_type": "proportional"}, "factor must be 1, since p-RoPE has no factor here"),
        ({"rope_type": "proportional", "factor": 1, "partial_rotary_factor": 0.1}, "turns no pair"),
        ({"rope_type": "dynamic"}, f"{LENGTH} is 16, but rope_type=dynamic counts from max_position_embeddings=32"),
    ],
)
def test_what_no_encoding_here_computes_is_refused_in_a_sentence(
    changes: dict[str, Any], sentence: str, folder_of: FolderOf
) -> None:
    rope = newer(TYPES["yarn"])["rope_parameters"] | changes
    folder = folder_of("llama", rope_parameters=rope)
    with pytest.raises(Refusal) as caught:
        HuggingFaceBase(folder).members()
    said = str(caught.value)
    assert said.startswith(f"{folder / 'config.json'}: rope_parameters.")
    assert said.count(str(folder)) == 1
    assert sentence in said


def test_an_object_that_is_none_is_refused(folder_of: FolderOf) -> None:
    for key in ("rope_parameters", "rope_scaling"):
        folder = folder_of("llama", **{"rope_parameters": None, key: "yarn"})
        assert key in json.loads((folder / "config.json").read_text())
        with pytest.raises(Refusal, match=rf"{key} must be an object, got 'yarn'"):
            HuggingFaceBase(folder).members()
