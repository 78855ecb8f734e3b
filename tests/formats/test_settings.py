"""The schemas of `base` and `export`."""

from dataclasses import asdict, replace

import pytest

from ctxext.formats.settings import Base, Export
from ctxext.refusal import Refusal

SHIPPED, NONE = Base("pkg://tiny", 256, 0, 2e-3, 4096), Base("", 256, 400, 2e-3, 4096)


@pytest.mark.parametrize(
    ("base", "change", "sentence"),
    [
        (NONE, {"trained_length": 0}, "base.trained_length must be above 0, got 0"),
        (NONE, {"learning_rate": -1.0}, "base.learning_rate must be above 0, got -1.0"),
        (NONE, {"batch_tokens": 0}, "base.batch_tokens must be above 0, got 0"),
        (NONE, {"steps": 0}, "base.steps must be above 0 where base.path is empty, got 0"),
        (SHIPPED, {"steps": 1}, "base.steps must be 0 where base.path names weights, got 1"),
        (NONE, {"batch_tokens": 255}, "base.batch_tokens must hold a row of base.trained_length=256 tokens, got 255"),
    ],
)
def test_a_base_out_of_range_is_refused(base: Base, change: dict[str, float], sentence: str) -> None:
    with pytest.raises(Refusal) as raised:
        Base(**asdict(base) | change)
    assert str(raised.value).startswith(sentence)


def test_a_batch_may_be_a_single_row() -> None:
    assert replace(NONE, batch_tokens=256).batch_tokens == 256


def test_only_formats_that_exist_are_taken() -> None:
    assert Export(["hf"]).format == ["hf"]
    assert Export([]).format == []
    with pytest.raises(Refusal, match=r"export\.format must be among hf, got 'fh'; did you mean 'hf'"):
        Export(["hf", "fh"])
