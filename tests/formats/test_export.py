"""Exports: their labels, what is put where, and what a text becomes on the way."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from ctxext.formats import export
from ctxext.formats.companions import plain_companions
from ctxext.formats.export import export_huggingface
from ctxext.formats.huggingface.verification import Compared, Text, UnreadableFiles, reader
from ctxext.model.decoder import Decoder
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.dynamic import RopeDynamicNtk
from ctxext.position.longrope import LongRope
from ctxext.position.rope import Rope, Yarn

TRAINED, TARGET = 64, 256
YARN = Yarn(10000.0, 4.0, TRAINED, 32.0, 1.0, 1.138629)
DecoderOf = Callable[..., Decoder]


@pytest.fixture
def export_of(tmp_path: Path, decoder_of: DecoderOf, tokenizer: Tokenizer) -> Callable[..., dict[str, Any]]:
    """Return a function that exports a tiny decoder to `hf` and returns the label."""

    def exported(decoder: Decoder | None = None) -> dict[str, Any]:
        network = decoder_of(YARN) if decoder is None else decoder
        words = tokenizer, plain_companions(tokenizer)
        return export_huggingface(tmp_path / "hf", network, *words, TARGET, TRAINED, Rope(10000.0))

    return exported


def test_the_files_stand_in_the_folder_and_nothing_beside_it(tmp_path: Path, export_of: Any) -> None:
    label = export_of()

    assert label["label"] == "exact"
    assert label["max_logit_difference"] <= 1e-5
    assert label["reader"].startswith("transformers 5.")
    names = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {file.name for file in (tmp_path / "hf").iterdir()} == names
    assert [entry.name for entry in tmp_path.iterdir()] == ["hf"]


def test_the_label_says_how_the_folder_is_served_and_how_a_base_would_be(
    tmp_path: Path, export_of: Any, decoder_of: DecoderOf
) -> None:
    lines = export_of()["serve"]
    assert lines[:2] == [f"transformers serve {tmp_path}/hf", f"vllm serve {tmp_path}/hf --max-model-len {TARGET}"]
    assert [line.split()[0] for line in lines[2:]] == ["vllm", "llama-server"]
    assert len(export_of(decoder_of())["serve"]) == 2, "a plain rotation is no extension"


@pytest.mark.parametrize(
    "position",
    [
        RopeDynamicNtk(10000.0, 4.0, TRAINED),
        LongRope(10000.0, 4.0, TRAINED, (1.0,) * 4, (1.0, 2.0, 3.0, 4.0), 1.1),
    ],
)
def test_what_follows_the_length_is_read_exactly_as_a_whole_and_otherwise_through_a_cache(
    export_of: Any, decoder_of: DecoderOf, position: Any
) -> None:
    label = export_of(decoder_of(position))

    assert (label["label"], label["reason"]) == ("approximate", "it differs most with a cache")
    assert any(note.startswith("With a cache, transformers leaves keys turned as they were") for note in label["notes"])


@pytest.mark.parametrize(
    ("measured", "magnitude", "label", "written"),
    [
        ((1e-5, 1e-5), 0.5, "exact", True),
        ((1.9e-4, 2e-4), 20.0, "exact", True),
        ((2.1e-4, 2e-4), 20.0, "approximate", True),
        ((2e-6, 4e-3), 20.0, "approximate", True),
        ((2e-5, 0.0), 1.0, "approximate", True),
        ((9e-3, 0.0), 20.0, "approximate", True),
        ((2e-3, 0.0), 0.5, "not exportable", False),
        ((0.5, 0.5), 20.0, "not exportable", False),
        ((float("nan"), 0.0), 20.0, "not exportable", False),
        ((0.0, float("nan")), 20.0, "not exportable", False),
    ],
)
def test_the_label_follows_the_measured_difference(
    tmp_path: Path, export_of: Any, monkeypatch: Any, measured: Any, magnitude: float, label: str, written: bool
) -> None:
    found = Compared(*measured, magnitude, (Text(0, 64),))
    monkeypatch.setattr(export, "compared", lambda folder, decoder, length: found)

    assert export_of()["label"] == label
    assert (tmp_path / "hf").exists() == written == bool(list(tmp_path.iterdir()))


def test_what_is_refused_takes_an_earlier_export_along(tmp_path: Path, export_of: Any, monkeypatch: Any) -> None:
    export_of()
    monkeypatch.setattr(export, "compared", lambda *_: Compared(0.5, 0.5, 1.0, (Text(0, 64),)))
    assert export_of()["label"] == "not exportable"
    assert not list(tmp_path.iterdir())


def test_files_that_the_reader_refuses_are_not_written(tmp_path: Path, export_of: Any, monkeypatch: Any) -> None:
    def refuse(*_: object) -> Any:
        raise UnreadableFiles("ValueError: no such thing")

    monkeypatch.setattr(export, "compared", refuse)

    label = export_of()

    assert label["label"] == "not exportable"
    assert label["reason"] == "transformers refuses to load it: ValueError: no such thing"
    assert not list(tmp_path.iterdir())


def test_without_the_reader_the_label_says_that_nothing_was_verified(export_of: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(export, "is_reader_installed", lambda: False)

    label = export_of()

    assert label["label"] == "not verified"
    assert "ctxext[transformers]" in label["reason"]
    assert "max_logit_difference" not in label


def test_exporting_again_replaces_the_folder_and_gives_the_same(tmp_path: Path, export_of: Any) -> None:
    folder = tmp_path / "hf"
    export_of()
    first, config = load_file(folder / "model.safetensors"), (folder / "config.json").read_text()
    (folder / "stale.txt").write_text("of an older export")

    export_of()

    assert not (folder / "stale.txt").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["hf"]
    again = load_file(folder / "model.safetensors")
    assert (folder / "config.json").read_text() == config
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_of_half_precision_come_back_to_the_bit(
    tmp_path: Path, export_of: Any, decoder_of: DecoderOf, dtype: torch.dtype
) -> None:
    decoder = decoder_of(YARN).to(dtype)

    assert export_of(decoder)["label"] == "exact"

    read = reader(tmp_path / "hf").model.state_dict()
    assert all(torch.equal(read[name].to(dtype), tensor) for name, tensor in decoder.state_dict().items())
    assert next(decoder.parameters()).dtype == dtype, "the run's own network stays as it is"


@torch.no_grad()
def test_fifty_greedy_tokens_are_equal_across_the_trained_length(
    tmp_path: Path, export_of: Any, decoder_of: DecoderOf
) -> None:
    decoder = decoder_of(YARN)
    export_of(decoder)
    prompt = torch.arange(1, 41)[None]

    theirs = reader(tmp_path / "hf").generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=50)
    ours = prompt
    for _ in range(50):
        last = decoder.hidden(ours, torch.arange(ours.shape[1])[None])[:, -1]
        ours = torch.cat((ours, (last @ decoder.unembedding[0].T).argmax(dim=-1, keepdim=True)), dim=1)

    assert theirs.shape == (1, 90)
    assert len(set(ours[0, 40:].tolist())) > 5
    assert torch.equal(ours, theirs)


def test_a_reader_that_wants_other_sizes_is_heard(tmp_path: Path, export_of: Any, decoder_of: DecoderOf) -> None:
    odd = DecoderGeometry(301, 40, 48, 1, 3, 3, 8, True, 1e-5)

    label = export_of(decoder_of(Rope(10000.0), geometry=odd))

    assert label["label"] == "not exportable"
    assert "not a multiple of the number of attention heads" in label["reason"]
    assert not list(tmp_path.iterdir())


def test_the_note_on_dynamic_scaling_matches_its_configuration(
    tmp_path: Path, export_of: Any, decoder_of: DecoderOf
) -> None:
    label = export_of(decoder_of(RopeDynamicNtk(10000.0, 4.0, TRAINED)))

    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert config["max_position_embeddings"] == TRAINED
    assert config["rope_scaling"] == {"rope_type": "dynamic", "factor": 4.0}
    assert any(note.startswith("max_position_embeddings is the trained length") for note in label["notes"])
