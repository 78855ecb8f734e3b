"""The comparison with transformers: it finds what was lost, and bears models of any size."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from ctxext.formats.companions import plain_companions
from ctxext.formats.huggingface import verification
from ctxext.formats.huggingface.verification import (
    Text,
    UnreadableFiles,
    affordable,
    compared,
    on_the_cpu,
    reader,
)
from ctxext.formats.huggingface.writing.folder import write
from ctxext.mask.layered import Layered
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.clipped import ClippedRope
from ctxext.position.dynamic import RopeDynamicNtk
from ctxext.position.llama3 import Llama3
from ctxext.position.longrope import LongRope
from ctxext.position.partial import PRope
from ctxext.position.rope import RopeAbf, RopeByParts, RopeInterp, RopeNtk, Yarn
from ctxext.position.rope_nope import RopeNope

TRAINED, TARGET = 64, 256
YARN = Yarn(10000.0, 4.0, TRAINED, 32.0, 1.0, 1.138629)
BY_LENGTH = [
    RopeDynamicNtk(10000.0, 4.0, TRAINED),
    LongRope(10000.0, 4.0, TRAINED, (1.0,) * 4, (1.0, 2.0, 3.0, 4.0), 1.1),
]
LOST = [
    RopeInterp(10000.0, 4.0),
    RopeNtk(10000.0, 4.0),
    RopeAbf(10000.0, 500000.0),
    RopeByParts(10000.0, 4.0, TRAINED, 32.0, 1.0),
    YARN,
    Llama3(10000.0, 4.0, TRAINED, 1.0, 4.0),
    ClippedRope(10000.0, 0.5),
    PRope(10000.0, 0.5),
    *BY_LENGTH,
]
DecoderOf = Callable[..., Decoder]


@pytest.fixture
def written(tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer) -> Callable[..., tuple[Path, Decoder]]:
    """Return a function that writes a tiny decoder and changes keys of its configuration."""

    def function(decoder: Decoder, **changes: Any) -> tuple[Path, Decoder]:
        folder = tmp_path / "hf"
        write(folder, decoder, tokenizer, plain_companions(tokenizer), TARGET)
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))
        return folder, decoder

    return function


@pytest.mark.parametrize("position", LOST, ids=lambda position: type(position).__name__)
def test_rope_entries_that_are_lost_are_found(written: Any, decoder_of: DecoderOf, position: Any) -> None:
    lost = {"rope_parameters": None, "rope_scaling": None, "rope_theta": 10000.0}
    assert compared(*written(decoder_of(position), **lost), TRAINED).whole > 1e-3


@pytest.mark.parametrize("window", [31, 33, None])
def test_a_window_that_is_one_off_or_lost_is_found(written: Any, decoder_of: DecoderOf, window: int | None) -> None:
    found = compared(*written(decoder_of(mask=SlidingWindow(32)), sliding_window=window), TRAINED)
    assert min(found.whole, found.cached) > 1e-3


@pytest.mark.parametrize(
    "changes",
    [
        {"use_sliding_window": False, "layer_types": None},
        {"sliding_window": 31},
        {"layer_types": ["full_attention", "sliding_attention"]},
    ],
)
def test_a_window_of_other_layers_is_found(
    written: Any, decoder_of: DecoderOf, biased: DecoderGeometry, changes: dict[str, Any]
) -> None:
    decoder = decoder_of(mask=Layered("SL", 32, 32, "constant"), geometry=biased)
    found = compared(*written(decoder, **changes), TRAINED)
    assert min(found.whole, found.cached) > 1e-3


def test_layers_without_rotation_that_turn_are_found(written: Any, decoder_of: DecoderOf) -> None:
    assert compared(*written(decoder_of(RopeNope(10000.0, 2)), no_rope_layers=[0, 1]), TRAINED).whole > 1e-3


def test_dynamic_scaling_that_counts_from_the_target_is_found(written: Any, decoder_of: DecoderOf) -> None:
    decoder = decoder_of(RopeDynamicNtk(10000.0, 4.0, TRAINED))
    assert compared(*written(decoder, max_position_embeddings=TARGET), TRAINED).whole > 1e-3


@pytest.mark.parametrize("position", [YARN, *BY_LENGTH], ids=lambda position: type(position).__name__)
def test_where_texts_are_too_long_their_last_positions_are_compared(
    written: Any, decoder_of: DecoderOf, position: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "LONGEST", 48)
    folder, decoder = written(decoder_of(position))

    found = compared(folder, decoder, TRAINED)

    assert found.texts == (Text(16, 64), Text(80, 128), Text(208, 256))
    assert found.whole <= 1e-5
    lost = {"rope_parameters": None, "rope_scaling": None}
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | lost))
    assert compared(folder, decoder, TRAINED).whole > 1e-3, "the rope shows there too"


@pytest.mark.parametrize(("parameters", "length"), [(1_000_000, 4096), (200_000_000, 200), (70_000_000_000, 64)])
def test_the_work_is_bounded_by_tokens_times_parameters(parameters: int, length: int) -> None:
    with torch.device("meta"):
        network = torch.nn.Linear(1000, parameters // 1000, bias=False)
    assert affordable(network) == length  # type: ignore[arg-type]


def test_a_network_on_the_cpu_is_lent_and_not_copied(decoder_of: DecoderOf) -> None:
    decoder = decoder_of().train()
    with on_the_cpu(decoder) as lent:
        assert lent is decoder
        assert not lent.training
    assert decoder.training
    half = decoder_of().half()
    with on_the_cpu(half) as lent:
        assert next(lent.parameters()).dtype == torch.float32
    assert next(half.parameters()).dtype == torch.float16


def test_a_difference_that_is_no_number_is_not_lost_among_others(
    written: Any, decoder_of: DecoderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([(1e-6, 1.0), (float("nan"), 1.0), (1e-6, 1.0)])
    monkeypatch.setattr(verification, "whole_difference", lambda *_: next(values))
    assert torch.isnan(torch.tensor(compared(*written(decoder_of()), TRAINED).whole))


def test_keys_that_the_reader_does_not_know_are_a_failure(written: Any, decoder_of: DecoderOf) -> None:
    rope = {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0, "facter": 4.0}
    folder, _ = written(decoder_of(RopeInterp(10000.0, 4.0)), rope_parameters=rope, rope_scaling=None)
    with pytest.raises(AssertionError, match=r"doesn't know the keys \{'facter'\}"):
        reader(folder)


def test_keys_for_vllm_are_none_and_nothing_of_them_is_printed(
    written: Any, decoder_of: DecoderOf, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, _ = written(decoder_of(RopeByParts(10000.0, 4.0, TRAINED, 32.0, 1.0)))
    root = logging.getLogger("transformers")
    before = root.handlers, root.level

    reader(folder)

    assert (root.handlers, root.level) == before
    assert capfd.readouterr() == ("", "")


def test_what_the_reader_raises_is_said_in_its_words(written: Any, decoder_of: DecoderOf) -> None:
    folder, _ = written(decoder_of(), model_type="llamma")
    with pytest.raises(UnreadableFiles, match="llamma"):
        reader(folder)
