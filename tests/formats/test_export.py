"""Exports as transformers itself reads them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from ctxext.attention.log_n import LogN
from ctxext.attention.self_extend import SelfExtend
from ctxext.formats import export
from ctxext.formats.export import export_huggingface
from ctxext.formats.verification import differences, reader
from ctxext.mask.causal import Causal
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry, LstmGeometry, VanillaGeometry
from ctxext.position.alibi import Alibi
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope, RopeInterp, RopeNtk, Yarn
from ctxext.position.sinusoidal import Sinusoidal

TRAINED, TARGET = 64, 256
YARN = Yarn(10000.0, 4.0, TRAINED, 32.0, 1.0, 1.138629)
UNTIED = DecoderGeometry(333, 48, 40, 2, 3, 3, 20, False, 1e-6)
DecoderOf = Callable[..., Decoder]


@pytest.mark.parametrize(
    ("position", "mask"),
    [
        (Rope(500000.0), Causal()),
        (RopeInterp(10000.0, 4.0), Causal()),
        (RopeNtk(10000.0, 4.0), Causal()),
        (YARN, Causal()),
        (replace(YARN, attention_factor=1.0, beta_fast=8.0, beta_slow=0.5), Causal()),
        (Rope(10000.0), SlidingWindow(32)),
        (YARN, SlidingWindow(33)),
    ],
)
def test_each_composition_with_a_home_is_read_exactly(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer, position: Any, mask: Any
) -> None:
    folder = tmp_path / "export" / "hf"

    label = export_huggingface(folder, decoder_of(position, mask), tokenizer, TARGET, TRAINED)

    assert label["label"] == "exact"
    assert label["max_logit_difference"] <= 1e-5
    names = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {file.name for file in folder.iterdir()} == names
    assert [entry.name for entry in folder.parent.iterdir()] == ["hf"]


@pytest.mark.parametrize(
    ("position", "mask"),
    [
        (Rope(10000.0), Causal()),
        (RopeInterp(10000.0, 4.0), Causal()),
        (RopeNtk(10000.0, 4.0), Causal()),
        (YARN, Causal()),
        (Rope(10000.0), SlidingWindow(32)),
        (YARN, SlidingWindow(33)),
    ],
)
def test_a_decoder_with_biases_is_read_exactly_as_a_qwen2(
    tmp_path: Path, decoder_of: DecoderOf, biased: DecoderGeometry, tokenizer: Tokenizer, position: Any, mask: Any
) -> None:
    decoder = decoder_of(position, mask, geometry=biased)

    label = export_huggingface(tmp_path / "hf", decoder, tokenizer, TARGET, TRAINED)

    assert label["label"] == "exact"
    assert max(differences(tmp_path / "hf", decoder, TRAINED)) <= 1e-5, "whole and cached, at 1, 2 and 4 times"
    assert type(reader(tmp_path / "hf")).__name__ == "Qwen2ForCausalLM"


@pytest.mark.parametrize(
    "changes",
    [
        {"use_sliding_window": False, "layer_types": None},
        {"sliding_window": 31},
        {"layer_types": ["sliding_attention", "full_attention"]},
    ],
)
def test_the_comparison_finds_a_window_of_a_qwen2_that_is_lost_or_another(
    tmp_path: Path, decoder_of: DecoderOf, biased: DecoderGeometry, tokenizer: Tokenizer, changes: dict[str, Any]
) -> None:
    decoder = decoder_of(mask=SlidingWindow(32), geometry=biased)
    export_huggingface(tmp_path / "hf", decoder, tokenizer, TARGET, TRAINED)
    edit(tmp_path / "hf", **changes)

    assert min(differences(tmp_path / "hf", decoder, TRAINED)) > 1e-3


def test_untied_embeddings_full_heads_and_odd_sizes_are_read_exactly(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    decoder = decoder_of(YARN, geometry=UNTIED)
    assert export_huggingface(tmp_path / "hf", decoder, tokenizer, TARGET, TRAINED)["label"] == "exact"


@pytest.mark.parametrize("position", [RopeInterp(10000.0, 4.0), RopeNtk(10000.0, 4.0), YARN])
def test_the_comparison_finds_rope_entries_that_were_lost(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer, position: Any
) -> None:
    decoder = decoder_of(position)
    export_huggingface(tmp_path / "hf", decoder, tokenizer, TARGET, TRAINED)
    edit(tmp_path / "hf", rope_parameters=None, rope_scaling=None, rope_theta=10000.0)

    assert differences(tmp_path / "hf", decoder, TRAINED)[0] > 1e-3


@pytest.mark.parametrize("window", [31, 33, None])
def test_the_comparison_finds_a_window_that_is_one_off_or_lost(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer, window: int | None
) -> None:
    decoder = decoder_of(mask=SlidingWindow(32))
    export_huggingface(tmp_path / "hf", decoder, tokenizer, TARGET, TRAINED)
    edit(tmp_path / "hf", sliding_window=window)

    assert min(differences(tmp_path / "hf", decoder, TRAINED)) > 1e-3


@pytest.mark.parametrize(
    ("model", "part"),
    [
        ({"position": Alibi()}, "position=alibi"),
        ({"position": Nope()}, "position=nope"),
        ({"position": Sinusoidal(10000.0)}, "position=sinusoidal"),
        ({"mask": Sinks(16, 4)}, "mask=sinks"),
        ({"attention": LogN(TRAINED)}, "attention=log_n"),
        ({"attention": SelfExtend(16, 4)}, "attention=self_extend"),
        (LstmGeometry(301, 8, 8, 1).build(Rope(10000.0), Causal(), LogN(TRAINED)), "model=lstm"),
        ({"geometry": VanillaGeometry(301, 16, 16, 1, 2, 1e-5)}, "model=vanilla"),
    ],
)
def test_what_has_no_home_is_refused_by_its_part_and_leaves_nothing(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer, model: Any, part: str
) -> None:
    built = decoder_of(**model) if isinstance(model, dict) else model

    label = export_huggingface(tmp_path / "hf", built, tokenizer, TARGET, TRAINED)

    assert label["label"] == "not exportable"
    assert label["reason"].startswith(part)
    assert not list(tmp_path.iterdir())


def test_a_new_kind_of_rope_is_not_taken_for_the_plain_one(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    class Resonance(Rope):
        pass

    label = export_huggingface(tmp_path / "hf", decoder_of(Resonance(10000.0)), tokenizer, TARGET, TRAINED)
    assert label["reason"].startswith("position=resonance")


@pytest.mark.parametrize(
    ("measured", "label", "written"),
    [
        ((1e-5, 1e-5), "exact", True),
        ((2e-6, 4e-3), "approximate", True),
        ((2e-5, 0.0), "approximate", True),
        ((0.5, 0.5), "not exportable", False),
        ((float("nan"), 0.0), "not exportable", False),
        ((0.0, float("nan")), "not exportable", False),
    ],
)
def test_the_label_follows_the_measured_difference(
    tmp_path: Path,
    decoder_of: DecoderOf,
    tokenizer: Tokenizer,
    monkeypatch: Any,
    measured: Any,
    label: str,
    written: bool,
) -> None:
    monkeypatch.setattr(export, "differences", lambda folder, decoder, length: measured)

    found = export_huggingface(tmp_path / "hf", decoder_of(), tokenizer, TARGET, TRAINED)

    assert found["label"] == label
    assert (tmp_path / "hf").exists() == written == bool(list(tmp_path.iterdir()))


def test_without_the_reader_the_label_says_that_nothing_was_verified(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer, monkeypatch: Any
) -> None:
    monkeypatch.setattr(export, "is_reader_installed", lambda: False)

    label = export_huggingface(tmp_path / "hf", decoder_of(), tokenizer, TARGET, TRAINED)

    assert label["label"] == "not verified"
    assert "ctxext[transformers]" in label["reason"]
    assert "max_logit_difference" not in label


def test_exporting_again_replaces_the_folder_and_gives_the_same(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    folder = tmp_path / "hf"
    export_huggingface(folder, decoder_of(YARN), tokenizer, TARGET, TRAINED)
    first, config = load_file(folder / "model.safetensors"), (folder / "config.json").read_text()
    (folder / "stale.txt").write_text("of an older export")

    export_huggingface(folder, decoder_of(YARN), tokenizer, TARGET, TRAINED)

    assert not (folder / "stale.txt").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["hf"]
    again = load_file(folder / "model.safetensors")
    assert (folder / "config.json").read_text() == config
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


@torch.no_grad()
def test_fifty_greedy_tokens_are_equal_across_the_trained_length(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    decoder = decoder_of(YARN)
    export_huggingface(tmp_path / "hf", decoder, tokenizer, TARGET, TRAINED)
    prompt = torch.arange(1, 41)[None]

    theirs = reader(tmp_path / "hf").generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=50)
    ours = prompt
    for _ in range(50):
        last = decoder.hidden(ours, torch.arange(ours.shape[1])[None])[:, -1]
        ours = torch.cat((ours, (last @ decoder.unembedding[0].T).argmax(dim=-1, keepdim=True)), dim=1)

    assert theirs.shape == (1, 90)
    assert len(set(ours[0, 40:].tolist())) > 5
    assert torch.equal(ours, theirs)


def edit(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
