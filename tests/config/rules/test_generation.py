"""Settings of generation by which no token is chosen."""

from collections.abc import Callable

import pytest

from ctxext.config.rules.generation import unheeded
from ctxext.config.schema import Run
from ctxext.refusal import Refusal

SAID = [
    ("top_p=0.9", ["top_p=0.9 has no effect with temperature=0, which takes the likeliest token"]),
    ("top_k=5", ["top_k=5 has no effect with temperature=0, which takes the likeliest token"]),
    ("temperature=0.5 top_k=1", ["temperature=0.5 has no effect with top_k=1, which takes the likeliest token"]),
    ("temperature=0.5 top_k=2 top_p=0.9", []),
    ("temperature=0.5", []),
    ("seed=0", []),
]


@pytest.mark.parametrize(("words", "sentences"), SAID)
def test_a_setting_without_effect_gets_a_line(words: str, sentences: list[str], built: Callable[..., Run]) -> None:
    assert list(unheeded(built(*words.split()))) == sentences


@pytest.mark.parametrize("temperature", ["inf", "nan", "-1"])
def test_a_temperature_is_a_finite_number(temperature: str, built: Callable[..., Run]) -> None:
    with pytest.raises(Refusal, match="temperature must be a finite number of at least 0, which is greedy, got"):
        built(f"temperature={temperature}")
