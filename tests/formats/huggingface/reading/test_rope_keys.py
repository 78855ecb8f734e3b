"""Two spellings of one rotation: taken together where they agree, refused with both names where they don't."""

from pathlib import Path
from typing import Any

import pytest

from ctxext.formats.huggingface.reading.keys import Keys
from ctxext.formats.huggingface.reading.rope_keys import LENGTH, local_theta, stated_rope
from ctxext.refusal import Refusal

YARN = {"rope_type": "yarn", "factor": 4.0, LENGTH: 16}
OLD_YARN = {"type": "yarn", "factor": 4, LENGTH: 16}
SAYS = "readers would compute two different models"


def rope(**content: Any) -> dict[str, Any]:
    return dict(stated_rope(Keys(Path("config.json"), content), 7e3).content)


@pytest.mark.parametrize(
    "content",
    [
        {"rope_parameters": YARN | {"rope_theta": 5e5}},
        {"rope_parameters": YARN, "rope_theta": 5e5},
        {"rope_scaling": OLD_YARN, "rope_theta": 5e5},
        {"rope_scaling": OLD_YARN, "rope_parameters": YARN | {"rope_theta": 5e5}, "rope_theta": 500000},
        {"rope_scaling": {"type": "yarn", "factor": 4.0}, "rope_parameters": YARN, LENGTH: 16, "rope_theta": 5e5},
        {"rope_scaling": None, "rope_parameters": YARN | {"rope_theta": 5e5, "mscale": None}},
        {"rope_scaling": OLD_YARN | {"rope_type": "yarn"}, "rope_theta": 5e5},
    ],
)
def test_every_spelling_says_the_same(content: dict[str, Any]) -> None:
    assert rope(**content) == YARN | {"rope_theta": 5e5}


def test_silence_is_the_plain_rotation_at_the_default_theta() -> None:
    plain = {"rope_type": "default", "rope_theta": 7e3}
    assert rope() == rope(rope_scaling=None, rope_parameters={}) == plain
    assert rope(rope_theta=5e5) == plain | {"rope_theta": 5e5}


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (
            {"rope_parameters": YARN, "rope_scaling": OLD_YARN | {"factor": 2.0}},
            ("rope_parameters.factor is 4.0", "rope_scaling.factor is 2.0"),
        ),
        (
            {"rope_parameters": YARN, "rope_scaling": {"type": "linear", "factor": 4.0, LENGTH: 16}},
            ("rope_parameters.rope_type is 'yarn'", "rope_scaling.rope_type is 'linear'"),
        ),
        (
            {"rope_parameters": YARN, "rope_scaling": {"type": "yarn", "factor": 4.0}},
            (f"rope_parameters.{LENGTH} is 16", f"rope_scaling.{LENGTH} is absent"),
        ),
        (
            {"rope_parameters": YARN | {"rope_theta": 5e5}, "rope_theta": 1e4},
            ("rope_parameters.rope_theta is 500000.0", "rope_theta is 10000.0"),
        ),
        (
            {"rope_parameters": YARN | {"rope_theta": 5e5}, "rope_scaling": OLD_YARN},
            ("rope_parameters.rope_theta is 500000.0", "rope_theta is 7000.0"),
        ),
        (
            {"rope_scaling": OLD_YARN | {"rope_theta": 5e5}, "rope_theta": 1e4},
            ("rope_scaling.rope_theta is 500000.0", "rope_theta is 10000.0"),
        ),
        ({"rope_parameters": YARN, LENGTH: 32}, (f"rope_parameters.{LENGTH} is 16", f"{LENGTH} is 32")),
        (
            {"rope_parameters": YARN | {"type": "linear"}},
            ("rope_parameters.rope_type is 'yarn'", "rope_parameters.type is 'linear'"),
        ),
    ],
)
def test_contradictions_are_refused_in_one_sentence_with_both_names(content: dict[str, Any], names: Any) -> None:
    with pytest.raises(Refusal) as caught:
        rope(**content)
    first, second = names
    assert str(caught.value) == f"config.json: {first}, but {second}; {SAYS}"


def test_rotations_by_layer_are_gemma_3_s_alone() -> None:
    both = {
        "full_attention": YARN | {"rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }
    assert rope(model_type="gemma3_text", rope_parameters=both) == YARN | {"rope_theta": 1e6}
    with pytest.raises(Refusal, match=r"rope_parameters\.full_attention must be .*only gemma3_text"):
        rope(model_type="llama", rope_parameters=both)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"rope_parameters": YARN}, r"rope_parameters\.rope_type must stand in full_attention or sliding_attention"),
        (
            {"rope_parameters": {"full_attention": YARN}, "rope_scaling": YARN | {"factor": 8.0}},
            r"rope_parameters\.full_attention\.factor is 4\.0, but rope_scaling\.factor is 8\.0",
        ),
        (
            {"rope_parameters": {"full_attention": YARN | {"rope_theta": 1e6}}, "rope_theta": 1e5},
            r"full_attention\.rope_theta is 1000000\.0, but rope_theta is 100000\.0",
        ),
        ({"rope_scaling": OLD_YARN}, r"rope_scaling\.type must be spelt rope_type"),
        ({"rope_parameters": {"full_attention": 3}}, r"rope_parameters\.full_attention must be an object"),
    ],
)
def test_what_gemma_3_s_readers_would_not_see_is_refused(content: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        rope(model_type="gemma3_text", **content)


def test_the_local_theta_is_read_in_either_spelling() -> None:
    def local(**content: Any) -> float:
        return local_theta(Keys(Path("config.json"), content))

    assert local() == 1e4
    assert local(rope_local_base_freq=5e3) == 5e3
    assert local(rope_parameters={"sliding_attention": {"rope_type": "default", "rope_theta": 5e3}}) == 5e3
    with pytest.raises(Refusal, match=r"sliding_attention\.rope_theta is 1, but rope_local_base_freq is 2"):
        local(rope_parameters={"sliding_attention": {"rope_theta": 1}}, rope_local_base_freq=2)
    with pytest.raises(Refusal, match=r"sliding_attention\.rope_type must be default"):
        local(rope_parameters={"sliding_attention": YARN})
    with pytest.raises(Refusal, match=r"rope_theta must be a number above 0"):
        local(rope_local_base_freq="many")
