"""What a run left, read back through its own composition or another."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ctxext.commands.foundation import prepared
from ctxext.commands.saved_network import saved_network
from ctxext.commands.train import train
from ctxext.config.schema import Run
from ctxext.formats.companions import plain_companions
from ctxext.formats.huggingface.writing.folder import write
from ctxext.position.rope import RopeInterp, RopeNtk
from ctxext.refusal import Refusal
from ctxext.reporting.journal import Journal
from ctxext.training.manifest import write_manifest


def test_a_run_s_newest_weights_are_read_through_any_composition(finished: Any, tmp_path: Path) -> None:
    wanted = load_file(finished.folder / "checkpoints/step-00000004/model.safetensors")
    run = dataclasses.replace(finished.run, run=str(finished.folder))
    for position in (run.position, RopeNtk(10000.0, 2.0)):
        network, tokenizer, _ = saved_network(dataclasses.replace(run, position=position), Journal(tmp_path, "a"))
        assert network.position == position
        assert not network.training
        assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in wanted.items())
        assert tokenizer.get_vocab_size() == 300


def test_what_holds_no_weights_is_refused(tiny: Callable[..., Run], tmp_path: Path) -> None:
    journal = Journal(tmp_path, "a")
    with pytest.raises(Refusal, match="it holds no checkpoint that can be loaded"):
        saved_network(dataclasses.replace(tiny(), run=str(tmp_path)), journal)
    with pytest.raises(Refusal, match="base=none has no weights; name a run with run=PATH"):
        saved_network(tiny(), journal)


def test_a_file_larger_than_its_network_can_make_it_is_refused_before_it_is_read(finished: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    with (folder / "checkpoints/step-00000004/model.safetensors").open("r+b") as file:
        file.truncate(10**11)  # a hole, of which nothing is on the disk
    run = dataclasses.replace(finished.run, run=str(folder))
    with pytest.raises(
        Refusal, match=r"model\.safetensors: has 100000000000 bytes, and a checkpoint of this network at"
    ):
        saved_network(run, Journal(tmp_path, "a"))


def test_another_geometry_than_the_run_s_is_refused(finished: Any, tiny: Callable[..., Run], tmp_path: Path) -> None:
    run = dataclasses.replace(tiny("model.intermediate_size=40"), run=str(finished.folder))
    with pytest.raises(Refusal, match="the weights are another model's"):
        saved_network(run, Journal(tmp_path, "a"))


def test_an_untrained_run_of_a_base_is_the_base_read_through_the_method(
    tiny: Callable[..., Run], tmp_path: Path
) -> None:
    plain, journal = tiny(), Journal(tmp_path, "a")
    tokenizer = prepared(plain, journal).tokenizer
    base = plain.model.build(plain.position, plain.mask, plain.attention)
    write(tmp_path / "base", base, tokenizer, plain_companions(tokenizer), 32)
    (tmp_path / "run").mkdir()
    tokenizer.save(str(tmp_path / "run" / "tokenizer.json"))
    run = tiny(f"base.path={tmp_path / 'base'}", "base.steps=0", "trainer.steps=0", "+method=rope_interp")

    network, found, companions = saved_network(dataclasses.replace(run, run=str(tmp_path / "run")), journal)

    assert network.position == RopeInterp(10000.0, 2.0)
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in base.state_dict().items())
    assert found.to_str() == tokenizer.to_str()
    assert companions.ends == (0,)
    trained = tiny(f"base.path={tmp_path / 'base'}", "base.steps=0", "+method=rope_interp")
    with pytest.raises(Refusal, match="it holds no checkpoint that can be loaded"):
        saved_network(dataclasses.replace(trained, run=str(tmp_path / "run")), journal)


ADAPTED = (
    "trainer.adapter=lora",
    "trainer.lora_rank=4",
    "trainer.learning_rate=0.01",
    "evaluation.subjects=[extended]",
)


def test_an_adapter_comes_back_merged_where_its_base_was_trained_here(tiny: Callable[..., Run], tmp_path: Path) -> None:
    run = tiny(*ADAPTED, "export.format=[hf]", "+method=rope_interp", "evaluation.lengths=[32,64]")
    train(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "cache")  # the checkpoint is enough

    network, _, _ = saved_network(dataclasses.replace(run, run=str(tmp_path / "run")), Journal(tmp_path, "a"))

    exported = load_file(tmp_path / "run" / "export" / "hf" / "model.safetensors")
    held = {
        name if name.startswith("lm_head") else f"model.{name}": part for name, part in network.state_dict().items()
    }
    assert held.keys() == exported.keys()
    assert all(torch.equal(held[name], tensor) for name, tensor in exported.items())


def test_an_adapter_comes_back_with_its_base_and_with_no_other(tiny: Callable[..., Run], tmp_path: Path) -> None:
    plain, journal = tiny(), Journal(tmp_path, "a")
    tokenizer = prepared(plain, journal).tokenizer
    torch.manual_seed(0)
    base = plain.model.build(plain.position, plain.mask, plain.attention)
    write(tmp_path / "base", base, tokenizer, plain_companions(tokenizer), 32)
    words = *ADAPTED, f"base.path={tmp_path / 'base'}", "base.steps=0", "+method=rope_interp", "export.format=[hf]"
    run = tiny(*words, "evaluation.lengths=[32,64]")
    train(run, tmp_path / "run")
    again = dataclasses.replace(run, run=str(tmp_path / "run"))
    saved = load_file(tmp_path / "run" / "checkpoints" / "step-00000004" / "model.safetensors")

    network, _, _ = saved_network(again, journal)
    elsewhere, _, _ = saved_network(dataclasses.replace(again, position=RopeNtk(10000.0, 2.0)), journal)

    assert not any("base_layer" in name for name in saved), "the base is not kept twice"
    exported = load_file(tmp_path / "run" / "export" / "hf" / "model.safetensors")
    assert all(torch.equal(part, exported[f"model.{name}"]) for name, part in network.state_dict().items())
    assert all(torch.equal(part, network.state_dict()[name]) for name, part in elsewhere.state_dict().items())
    base.layers[1].mlp.up_proj.weight.data[0, 0] += 1
    shutil.rmtree(tmp_path / "base")
    write(tmp_path / "base", base, tokenizer, plain_companions(tokenizer), 32)
    with pytest.raises(Refusal, match="trained beside another base; name the base that the run started from"):
        saved_network(again, journal)


def not_finite(checkpoint: Path) -> None:
    tensors = load_file(checkpoint / "model.safetensors")
    tensors["norm.weight"][1] = float("nan")
    save_file(tensors, checkpoint / "model.safetensors")


SPOILT: list[tuple[Callable[[Path], Any], str]] = [
    (not_finite, r"step-00000004: norm\.weight holds a value that is not finite"),
    (lambda checkpoint: (checkpoint / "state.json").write_text("[" * 100_000), r"state\.json: cannot be read as JSON"),
    (
        lambda checkpoint: (checkpoint / "model.safetensors").write_bytes(b"\xff" * 99),
        r"model\.safetensors: not a whole safetensors file",
    ),
]


@pytest.mark.parametrize(("spoil", "sentence"), SPOILT, ids=range(3))
def test_a_checkpoint_that_somebody_made_up_is_refused_though_its_manifest_fits(
    finished: Any, tmp_path: Path, spoil: Callable[[Path], Any], sentence: str
) -> None:
    folder = Path(shutil.copytree(finished.folder, tmp_path / "run"))
    checkpoint = folder / "checkpoints" / "step-00000004"
    (checkpoint / "MANIFEST.json").unlink()
    spoil(checkpoint)
    write_manifest(checkpoint)
    with pytest.raises(Refusal, match=sentence):
        saved_network(dataclasses.replace(finished.run, run=str(folder)), Journal(tmp_path, "a"))


def remains(folder: Path) -> Path:
    """Return the remains of a dead process in the checkpoints of `folder`."""
    path = folder / "checkpoints" / f".tmp-00000009-{2**22 + 1}"
    path.mkdir()
    return path


def test_to_read_a_run_deletes_nothing_there_and_follows_no_link(finished: Any, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "run")
    checkpoints, journal = tmp_path / "run" / "checkpoints", Journal(tmp_path, "a")
    run = dataclasses.replace(finished.run, run=str(tmp_path / "run"))
    left = remains(tmp_path / "run")
    saved_network(run, journal)
    assert left.is_dir(), "its process may live on another host"

    newest = checkpoints / "step-00000004"
    for place in (newest / "state.json", newest, checkpoints):
        elsewhere = tmp_path / f"real-{place.name}"
        place.rename(elsewhere)
        place.symlink_to(elsewhere)
        with pytest.raises(Refusal, match=f"{place}: links in a run that is read are not followed"):
            saved_network(run, journal)
        place.unlink()
        elsewhere.rename(place)
    assert left.is_dir()


def test_a_header_that_no_run_writes_is_refused_before_its_tensors_are_read(finished: Any, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "run")
    newest = tmp_path / "run" / "checkpoints" / "step-00000004"
    tensors = load_file(newest / "model.safetensors")
    save_file(tensors | {"empty": torch.zeros(0)}, newest / "model.safetensors")
    (newest / "MANIFEST.json").unlink()
    write_manifest(newest)
    with pytest.raises(Refusal, match="empty is empty, its shape is"):
        saved_network(dataclasses.replace(finished.run, run=str(tmp_path / "run")), Journal(tmp_path, "a"))
