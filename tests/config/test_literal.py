"""Texts that look like interpolations come through OmegaConf as they are."""

from random import Random

import pytest
from omegaconf import OmegaConf

from ctxext.config.literal import escaped, literal

AWKWARD = ["${seed}", "${", "\\${x}", "\\\\${x}", "a\\", "$\\{", "${oc.env:HOME}", "}${}", "${${", "plain", ""]


def resolved(text: str) -> str:
    content: dict[str, str] = OmegaConf.to_container(OmegaConf.create({"seed": 7, "a": text}), resolve=True)
    return content["a"]


@pytest.mark.parametrize("text", AWKWARD)
def test_an_escaped_text_resolves_to_itself(text: str) -> None:
    assert resolved(escaped(text)) == text


def test_random_texts_of_what_matters_to_omegaconf_resolve_to_themselves() -> None:
    draw = Random(0)
    for _ in range(500):
        text = "".join(draw.choices(["\\", "${", "}", "$", "'", '"', "a", "\n"], k=7))
        assert resolved(escaped(text)) == text


def test_every_text_of_a_config_is_escaped_and_nothing_else() -> None:
    assert literal({"a": ["${x}", 1, None], "b": {"c": "$"}}) == {"a": ["\\${x}", 1, None], "b": {"c": "$"}}
