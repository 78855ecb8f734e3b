"""Exports as transformers itself reads them."""

import json
import re
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
from ctxext.config.folders import option_files, targets
from ctxext.formats import export
from ctxext.formats.export import export_huggingface
from ctxext.formats.huggingface.homes import NotExportable, home
from ctxext.formats.huggingface.verification import differences, reader
from ctxext.mask.causal import Causal
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry, LstmGeometry, VanillaGeometry
from ctxext.position.alibi import Alibi
from ctxext.position.clipped import ClippedRope
from ctxext.position.drope import Drope
from ctxext.position.dynamic import DynamicYarn, RopeDynamicNtk
from ctxext.position.grid import GridRope
from ctxext.position.llama3 import Llama3
from ctxext.position.longrope import LongRope
from ctxext.position.nope import Nope
from ctxext.position.partial import PartialRope, PRope
from ctxext.position.resonance import ResonanceRope
from ctxext.position.rope import Rope, RopeAbf, RopeByParts, RopeInterp, RopeNtk, Yarn
from ctxext.position.rope_nope import RopeNope
from ctxext.position.sinusoidal import Sinusoidal
from ctxext.position.xpos import XPos

TRAINED, TARGET = 64, 256
YARN = Yarn(10000.0, 4.0, TRAINED, 32.0, 1.0, 1.138629)
STATIC = [
    RopeByParts(10000.0, 4.0, TRAINED, 32.0, 1.0),
    Llama3(10000.0, 4.0, TRAINED, 1.0, 4.0),
    RopeAbf(10000.0, 500000.0),
    PRope(10000.0, 0.5),
    ResonanceRope(10000.0, 1.0, TRAINED, 32.0, 1.0, 1.0),
    ResonanceRope(10000.0, 4.0, TRAINED, 32.0, 1.0, 1.138629),
    LongRope(10000.0, 4.0, TRAINED, (1.0, 1.5, 3.0, 4.0), (1.0, 1.5, 3.0, 4.0), 1.1),
]
BY_LENGTH = [
    RopeDynamicNtk(10000.0, 4.0, TRAINED),
    LongRope(10000.0, 4.0, TRAINED, (1.0,) * 4, (1.0, 2.0, 3.0, 4.0), 1.1),
]
UNTIED = DecoderGeometry(333, 48, 40, 2, 3, 3, 20, False, 1e-6)
BIASED = DecoderGeometry(301, 32, 48, 2, 4, 2, 8, True, 1e-5, attention_bias=True)
DecoderOf = Callable[..., Decoder]


@pytest.mark.parametrize(
    ("position", "mask"),
    [
        (Rope(500000.0), IntraDocument()),
        (RopeInterp(10000.0, 4.0), IntraDocument()),
        (RopeNtk(10000.0, 4.0), IntraDocument()),
        (YARN, IntraDocument()),
        (replace(YARN, attention_factor=1.0, beta_fast=8.0, beta_slow=0.5), IntraDocument()),
        *((position, IntraDocument()) for position in STATIC),
        (Nope(), IntraDocument()),
        (Drope(10000.0), IntraDocument()),
        (RopeNope(10000.0, 2), IntraDocument()),
        (RopeNope(10000.0, 2), SlidingWindow(33)),
        (Rope(10000.0), Causal()),
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
        (Rope(10000.0), IntraDocument()),
        (RopeInterp(10000.0, 4.0), IntraDocument()),
        (RopeNtk(10000.0, 4.0), IntraDocument()),
        (YARN, IntraDocument()),
        *((position, IntraDocument()) for position in STATIC),
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


@pytest.mark.parametrize("position", [RopeInterp(10000.0, 4.0), RopeNtk(10000.0, 4.0), YARN, *STATIC, *BY_LENGTH])
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
        ({"position": Nope(), "geometry": BIASED}, "position=nope with model.attention_bias=true"),
        ({"position": DynamicYarn(10000.0, TRAINED, 32.0, 1.0)}, "position=dynamic_yarn"),
        ({"position": PartialRope(10000.0, 0.5)}, "position=partial_rope"),
        ({"position": ClippedRope(10000.0, 0.3125)}, "position=clipped_rope"),
        ({"position": GridRope(10000.0, 16, 2)}, "position=grid_rope"),
        ({"position": XPos(10000.0, 512.0)}, "position=xpos"),
        ({"position": Sinusoidal(10000.0)}, "position=sinusoidal"),
        ({"mask": Sinks(16, 4)}, "mask=sinks"),
        ({"attention": LogN(TRAINED)}, "attention=log_n"),
        ({"attention": SelfExtend(16, 4)}, "attention=self_extend"),
        (LstmGeometry(301, 8, 8, 1).build(Rope(10000.0), IntraDocument(), LogN(TRAINED)), "model=lstm"),
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


@pytest.mark.parametrize("position", BY_LENGTH)
def test_what_follows_the_length_is_read_exactly_as_a_whole_and_otherwise_through_a_cache(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer, position: Any
) -> None:
    decoder = decoder_of(position)

    label = export_huggingface(tmp_path / "hf", decoder, tokenizer, TARGET, TRAINED)

    whole, cached = differences(tmp_path / "hf", decoder, TRAINED)
    assert whole <= 1e-5 < cached
    assert (label["label"], label["reason"]) == ("approximate", "it differs most with a cache")
    assert any(note.startswith("With a cache, transformers leaves keys turned as they were") for note in label["notes"])


def test_dynamic_scaling_counts_from_max_position_embeddings(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    decoder = decoder_of(RopeDynamicNtk(10000.0, 4.0, TRAINED))
    export_huggingface(tmp_path / "hf", decoder, tokenizer, TARGET, TRAINED)
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert config["max_position_embeddings"] == TRAINED
    assert config["rope_scaling"] == {"rope_type": "dynamic", "factor": 4.0}

    edit(tmp_path / "hf", max_position_embeddings=TARGET)
    assert differences(tmp_path / "hf", decoder, TRAINED)[0] > 1e-3


@pytest.mark.parametrize(
    ("position", "words"),
    [
        (YARN, []),
        (STATIC[0], ["Readers that drop the key, older vLLM among them, take 1.13863"]),
        (PRope(10000.0, 0.5), ["Only transformers from 5 on knows rope_type=proportional"]),
        (STATIC[-1], ["Readers that drop the key, older vLLM among them, take 1.1547"]),
        (BY_LENGTH[0], ["With a cache", "max_position_embeddings is the trained length"]),
    ],
)
def test_what_a_user_of_another_reader_must_know_is_noted(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer, position: Any, words: list[str]
) -> None:
    label = export_huggingface(tmp_path / "hf", decoder_of(position), tokenizer, TARGET, TRAINED)
    notes = [note for note in label.get("notes", []) if not note.startswith("The final attention_factor")]
    assert len(notes) == len(words)
    assert all(note.startswith(word) for note, word in zip(notes, words, strict=True))


def test_layers_without_rotation_make_a_smollm3(tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer) -> None:
    decoder = decoder_of(RopeNope(10000.0, 2))
    export_huggingface(tmp_path / "hf", decoder, tokenizer, TARGET, TRAINED)
    assert type(reader(tmp_path / "hf")).__name__ == "SmolLM3ForCausalLM"

    edit(tmp_path / "hf", no_rope_layers=[0, 1])
    assert differences(tmp_path / "hf", decoder, TRAINED)[0] > 1e-3


@pytest.mark.parametrize("slot", ["position", "mask", "attention"])
def test_each_option_says_in_its_file_where_it_exports_and_is_refused_by_the_name_of_its_class(
    slot: str, small: Callable[..., Any]
) -> None:
    for path in option_files(slot):
        run = small(**{slot: path.stem})
        said = re.search(r"^# exports: (hf \w+|not exportable)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert said, path
        kind, why = where(run)
        assert kind == said[1], path
        alike = [name for name, target in targets(slot).items() if target == targets(slot)[path.stem]]
        assert not why or why.startswith(tuple(f"{slot}={name} has no Hugging Face reader: " for name in alike))
        assert "no class of theirs does the same" not in why, "it has a reason of its own"


def where(run: Any) -> tuple[str, str]:
    """Return as what `run` exports, and why not if it doesn't."""
    try:
        model = replace(run.model, attention_bias=False)
        return "hf " + home(model, run.position, run.mask, run.attention).config["model_type"], ""
    except NotExportable as error:
        return "not exportable", str(error)


def test_a_new_kind_of_rope_is_not_taken_for_the_plain_one(
    tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer
) -> None:
    class Squared(Rope):
        pass

    label = export_huggingface(tmp_path / "hf", decoder_of(Squared(10000.0)), tokenizer, TARGET, TRAINED)
    assert label["reason"] == "position=squared has no Hugging Face reader: no class of theirs does the same"


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
