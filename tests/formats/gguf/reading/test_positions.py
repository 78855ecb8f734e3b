"""Rotary keys of GGUF files: the encoding that llama.cpp makes of them.

That llama.cpp computes so was seen with llama-cpp-python 0.3.36, on files like these: logits differ by 4e-5 at most.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter

from ctxext.formats.gguf.reading.header import read_header
from ctxext.formats.gguf.reading.positions import read_position
from ctxext.formats.gguf.reading.settings import model_settings
from ctxext.position.longrope import LongRope
from ctxext.position.rope import Rope, RopeInterp, Yarn
from ctxext.refusal import Refusal

SHORT, LONG = (1.0, 1.5, 2.0, 3.0), (1.0, 2.0, 4.0, 8.0)
FREQS, FACTORS_SHORT, FACTORS_LONG = (f"rope_{name}.weight" for name in ("freqs", "factors_short", "factors_long"))


def position_of(
    folder: Path, tensors: dict[str, tuple[float, ...]] | None = None, name: str = "llama", **keys: Any
) -> Rope:
    """Return the position encoding of a file with rotary `keys`, double underscores for dots, and `tensors`."""
    file = folder / f"{len(list(folder.iterdir()))}.gguf"
    writer = GGUFWriter(file, name)
    for key, value in ({"freq_base": 5e5} | keys).items():
        full = f"{name}.rope.{key.replace('__', '.')}"
        {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}[type(value)](full, value)
    writer.add_context_length(128)
    for key, numbers in (tensors or {}).items():
        writer.add_tensor(key, np.array(numbers, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return read_position(model_settings(read_header(file)), 8)


def test_a_file_without_scaling_turns_plainly(tmp_path: Path) -> None:
    assert position_of(tmp_path) == Rope(5e5)
    assert position_of(tmp_path, dimension_count=8) == Rope(5e5)
    assert position_of(tmp_path, scaling__type="none", scaling__factor=4.0) == Rope(5e5)
    assert position_of(tmp_path, scaling__factor=1.0) == Rope(5e5)


def test_an_absent_type_is_linear(tmp_path: Path) -> None:
    assert position_of(tmp_path, scaling__type="linear", scaling__factor=4.0) == RopeInterp(5e5, 4.0)
    assert position_of(tmp_path, scaling__factor=4.0) == RopeInterp(5e5, 4.0)
    assert position_of(tmp_path, scale_linear=4.0) == RopeInterp(5e5, 4.0)


def test_yarn_has_its_own_amplitude_and_the_key_is_what_comes_on_top(tmp_path: Path) -> None:
    yarn: dict[str, Any] = {"scaling__type": "yarn", "scaling__factor": 4.0, "scaling__original_context_length": 32}
    own = 0.1 * math.log(4) + 1

    assert position_of(tmp_path, **yarn) == Yarn(5e5, 4.0, 32, 32.0, 1.0, own)
    sharper = position_of(tmp_path, **yarn, scaling__attn_factor=1.25, scaling__yarn_beta_fast=16.0)
    assert sharper == Yarn(5e5, 4.0, 32, 16.0, 1.0, 1.25 * own)


def test_yarn_without_an_original_length_counts_from_the_files_own(tmp_path: Path) -> None:
    found = position_of(tmp_path, scaling__type="yarn", scaling__factor=2.0)
    assert isinstance(found, Yarn)
    assert found.original_max_position_embeddings == 128


def test_divisors_divide_the_frequencies_of_all_texts_and_the_factor_once_more(tmp_path: Path) -> None:
    found = position_of(tmp_path, {FREQS: LONG})
    assert found == LongRope(5e5, 1.0, 128, LONG, LONG, 1.0)
    assert torch.equal(found.frequencies(8), Rope(5e5).frequencies(8) / torch.tensor(LONG))

    both = position_of(tmp_path, {FREQS: LONG}, scaling__factor=2.0)
    assert torch.allclose(both.frequencies(8), found.frequencies(8) / 2)


def test_an_amplitude_of_its_own_is_kept(tmp_path: Path) -> None:
    found = position_of(tmp_path, scaling__factor=2.0, scaling__attn_factor=1.5)
    assert found.amplitude == 1.5
    assert torch.allclose(found.frequencies(8), Rope(5e5).frequencies(8) / 2)


def test_longrope_has_divisors_for_short_and_for_long_texts(tmp_path: Path) -> None:
    found = position_of(
        tmp_path,
        {FACTORS_SHORT: SHORT, FACTORS_LONG: LONG},
        scaling__type="longrope",
        scaling__original_context_length=32,
        scaling__attn_factor=1.25,
    )
    assert found == LongRope(5e5, 4.0, 32, SHORT, LONG, 1.25)


@pytest.mark.parametrize(
    ("keys", "tensors", "sentence"),
    [
        ({"dimension_count": 6}, {}, r"llama\.rope\.dimension_count must be 8, the whole of a head, got 6"),
        ({"scaling__type": "dynamic"}, {}, "must be one of none, linear, yarn, longrope, got 'dynamic'"),
        ({"scaling__factor": 0.5}, {}, r"llama\.rope\.scaling\.factor must be at least 1, got 0\.5"),
        ({"scaling__attn_factor": 0.0}, {}, r"llama\.rope\.scaling\.attn_factor must be a number above 0, got 0\.0"),
        ({"scaling__yarn_ext_factor": 0.5}, {}, r"llama\.rope\.scaling\.yarn_ext_factor is 0\.5, which is not read"),
        ({"scaling__type": "longrope"}, {}, "needs the tensor rope_factors_short"),
        ({"scaling__type": "yarn"}, {FREQS: LONG}, r"is yarn, which goes with no rope_freqs\.weight"),
        ({}, {FACTORS_LONG: LONG}, r"rope_factors_long\.weight needs rope\.scaling\.type longrope"),
        ({}, {FREQS: (1.0,) * 3}, r"rope_freqs\.weight must hold 4 numbers, has the shape \[3\]"),
        ({}, {FREQS: (1.0, 1.0, 1.0, 0.0)}, r"rope_freqs\.weight must hold finite numbers above 0, got 0\.0"),
        ({}, {FREQS: (1.0, 1.0, 1.0, math.inf)}, r"rope_freqs\.weight must hold finite numbers above 0"),
    ],
)
def test_what_no_encoding_computes_is_refused_by_its_key(
    keys: dict[str, Any], tensors: dict[str, tuple[float, ...]], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(Refusal, match=sentence):
        position_of(tmp_path, tensors, **keys)


def test_an_amplitude_of_gemma3_is_refused_since_local_layers_would_have_it_too(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"gemma3\.rope\.scaling\.attn_factor would act in local layers too, got 1\.5"):
        position_of(tmp_path, name="gemma3", scaling__attn_factor=1.5)
