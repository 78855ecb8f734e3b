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
    assert Export(["hf", "gguf"], "F16").format == ["hf", "gguf"]
    assert Export([], "F16").format == []
    with pytest.raises(Refusal, match=r"export\.format must be among hf, gguf, got 'fh'; did you mean 'hf'"):
        Export(["hf", "fh"], "F16")


def test_only_types_of_gguf_that_are_written_are_taken() -> None:
    assert [Export([], kind).gguf_type for kind in ("F32", "F16", "Q8_0")] == ["F32", "F16", "Q8_0"]
    with pytest.raises(
        Refusal, match=r"export\.gguf_type must be one of F32, F16, Q8_0, got 'Q8_1'; did you mean 'Q8_0'"
    ):
        Export([], "Q8_1")
