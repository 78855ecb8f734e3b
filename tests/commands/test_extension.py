"""What identifies a training, and what the journal is told of it."""

import dataclasses
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from torch import nn

from ctxext.commands import extension
from ctxext.commands.extension import course_of, extend, identity_of, row_length, rows_of, sampler_of, step_size
from ctxext.commands.foundation import prepared, read_through, untouched
from ctxext.config.schema import Run
from ctxext.data.rows import Batch, Rows
from ctxext.data.sources import Recall
from ctxext.formats.settings import Base
from ctxext.maths.fingerprint import fingerprint
from ctxext.position.sampling import AsLaid, Pose, Randomized
from ctxext.reporting.journal import Journal
from ctxext.training import checkpoint
from ctxext.training.drift import versions
from ctxext.training.loop import Watcher, fit, resume
from ctxext.training.settings import Trainer
from ctxext.training.signals import Stop


@pytest.fixture
def network(tiny: Callable[..., Run]) -> Any:
    run = tiny()
    torch.manual_seed(0)
    return run.model.build(run.position, run.mask, run.attention)


@pytest.mark.parametrize(
    ("words", "differing"),
    [
        (("seed=1",), {"seed"}),
        (("trainer.learning_rate=0.5",), {"trainer.learning_rate"}),
        (("trainer.steps=5",), {"trainer.steps"}),
        (("trainer.accumulate=2",), {"trainer.accumulate"}),
        (("position.rope_theta=20000.0",), {"position"}),
        (("mask=sliding_window",), {"mask"}),
        (("attention=log_n",), {"attention"}),
        (("model.intermediate_size=40",), {"model"}),
        (("dataset.recall_share=0.5",), {"dataset.recall_share"}),
        (("trainer=pose",), {"trainer.positions", "trainer.max_position", "base.trained_length"}),
        (("trainer.max_position=99",), set()),
        (("trainer.precision=fp32", "trainer.compile=true", "trainer.gradient_checkpointing=true"), set()),
        (("dataset.count=61",), {"data", "tokenizer"}),
        (
            (
                "trainer.save_every=3",
                "trainer.keep=3",
                "trainer.resume=never",
                "trainer.nonfinite=skip",
                "evaluation.every=2",
                "name=b",
            ),
            set(),
        ),
    ],
)
def test_all_that_the_weights_depend_on_is_part_of_the_identity(
    words: tuple[str, ...], differing: set[str], tiny: Callable[..., Run], tmp_path: Path
) -> None:
    journal = Journal(tmp_path, "a")
    first, second = (identity_of(run, prepared(run, journal)) for run in (tiny(), tiny(*words)))

    assert {key for key in first | second if first.get(key) != second.get(key)} == differing


def test_a_precision_that_is_chosen_by_the_device_is_compared_as_what_it_means(
    tiny: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny()
    data = prepared(run, Journal(tmp_path, "a"))
    assert identity_of(run, data)["trainer.precision"] == "float32"
    monkeypatch.setattr(extension, "device_of", lambda run: torch.device("cuda"))
    assert identity_of(run, data)["trainer.precision"] == "bfloat16"


def test_what_a_run_goes_on_from_has_the_versions_of_what_made_it(
    tiny: Callable[..., Run], network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, journal = tiny(), Journal(tmp_path, "a")
    data = prepared(run, journal)
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with journal:
        extend(network, run, data, tmp_path / "checkpoints", journal, Stop())
    monkeypatch.setattr(extension, "versions", lambda: versions() | {"versions.numpy": "9"})
    network.load_state_dict(weights)
    with pytest.raises(ValueError, match=r"since versions.numpy was '.*' and is '9'; .*=\[versions.numpy\]"), journal:
        extend(network, run, data, tmp_path / "checkpoints", journal, Stop())
    with journal:
        allowing = tiny("trainer.resume_allow=[versions.numpy]")
        extend(network, allowing, data, tmp_path / "checkpoints", journal, Stop())


def test_a_base_that_other_versions_trained_is_taken_as_it_is(
    tiny: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, journal = tiny(), Journal(tmp_path, "a")
    data = prepared(run, journal)
    first = untouched(run, data, journal, Stop()).state_dict()
    monkeypatch.setattr(extension, "versions", lambda: versions() | {"versions.torch": "9"})
    again = untouched(run, data, journal, Stop()).state_dict()
    assert all(torch.equal(first[name], tensor) for name, tensor in again.items())


def test_the_base_s_weights_are_part_of_what_a_run_goes_on_from(
    tiny: Callable[..., Run], network: Any, tmp_path: Path
) -> None:
    run, journal = tiny(), Journal(tmp_path, "a")
    data = prepared(run, journal)
    other = run.model.build(run.position, run.mask, run.attention)
    with journal:
        extend(network, run, data, tmp_path / "checkpoints", journal, Stop())
    with pytest.raises(ValueError, match=r"since base was '\w+' and is '\w+'"), journal:
        extend(other, run, data, tmp_path / "checkpoints", journal, Stop())


def test_a_lost_step_is_written_again_and_none_twice(tiny: Callable[..., Run], network: Any, tmp_path: Path) -> None:
    run, weights = tiny(), {name: tensor.clone() for name, tensor in network.state_dict().items()}
    data = prepared(run, Journal(tmp_path, "a"))
    with Journal(tmp_path, "a") as journal:
        extend(network, run, data, tmp_path / "checkpoints", journal, Stop())
    first = [{**row, "seconds": 0, "waited": 0} for row in Journal(tmp_path, "a").rows()]
    checkpoint.discard(tmp_path / "checkpoints" / "step-00000004")
    network.load_state_dict(weights)
    with Journal(tmp_path, "a") as journal:
        extend(network, run, data, tmp_path / "checkpoints", journal, Stop())

    assert [{**row, "seconds": 0, "waited": 0} for row in Journal(tmp_path, "a").rows()] == first
    assert [row["step"] for row in first] == [1, 2, 3, 4]
    assert not network.training


def test_a_stop_that_was_asked_for_before_is_heeded_after_one_step(
    tiny: Callable[..., Run], network: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, stop = tiny(), Stop()
    stop.asked = True
    data = prepared(run, Journal(tmp_path, "a"))
    with Journal(tmp_path, "a") as journal:
        extend(network, dataclasses.replace(run), data, tmp_path / "checkpoints", journal, stop)

    assert list(checkpoint.steps(tmp_path / "checkpoints")) == [1]
    assert f"saved at step 1 in {tmp_path / 'checkpoints'}" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "blocks"), [(("trainer.compile=true",), 2), ((), 0)])
def test_blocks_are_compiled_where_it_is_asked_for_and_the_weights_keep_their_names(
    words: tuple[str, ...],
    blocks: int,
    tiny: Callable[..., Run],
    network: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, compiled, names = tiny("trainer.steps=1", *words), [], list(network.state_dict())
    monkeypatch.setattr(nn.Module, "compile", lambda block: compiled.append(block))
    with Journal(tmp_path, "a") as journal:
        extend(network, run, prepared(run, journal), tmp_path / "checkpoints", journal, Stop())

    assert compiled == list(network.layers)[:blocks]
    assert list(network.state_dict()) == names


@pytest.mark.parametrize(("share", "said"), [("0.25", ", 25% of the rows lessons in recall"), ("0.0", "")])
def test_lessons_are_said_where_there_are_any(
    share: str,
    said: str,
    tiny: Callable[..., Run],
    network: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tiny("trainer.steps=1", f"dataset.recall_share={share}")
    with Journal(tmp_path, "a") as journal:
        extend(network, run, prepared(run, journal), tmp_path / "checkpoints", journal, Stop())

    assert f"train  at 64 tokens, 1 steps of 256 tokens{said}\n" in capsys.readouterr().out


def test_a_step_is_said_to_have_the_tokens_of_its_whole_rows() -> None:
    assert step_size(256, 64) == "256 tokens"
    assert step_size(300, 64) == "256 tokens (trainer.batch_tokens=300 holds 4 whole rows)"


def test_it_is_said_what_becomes_of_freed_memory_and_how_long_data_were_waited_for(
    tiny: Callable[..., Run],
    network: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Rows.batch

    def slow(self: Rows, first: int, count: int) -> Batch:
        time.sleep(0.2)
        return made(self, first, count)

    monkeypatch.setattr(Rows, "batch", slow)
    run = tiny("trainer.steps=1")
    with Journal(tmp_path, "a") as journal:
        extend(network, run, prepared(run, journal), tmp_path / "checkpoints", journal, Stop())

    said = capsys.readouterr().out
    assert re.search(r"^train  \d+\.\d% of the steps' time was spent waiting for data$", said, re.MULTILINE)
    if sys.platform == "linux":
        assert "; that of freed tensors is kept for the next step until training ends\n" in said


def test_rows_are_short_and_positions_drawn_up_to_the_target_where_that_is_asked_for(tiny: Callable[..., Run]) -> None:
    found = {name: (row_length(tiny(*words)), sampler_of(tiny(*words))) for name, words in SAMPLING.items()}

    assert found == {
        "laid": (64, AsLaid()),
        "pose": (32, Pose(64)),
        "randomized": (32, Randomized(64)),
        "farther": (32, Randomized(99)),
    }


SAMPLING = {
    "laid": (),
    "pose": ("+method=pose",),
    "randomized": ("+method=randomized_positions",),
    "farther": ("trainer=randomized_positions", "trainer.max_position=99"),
}


def test_drawn_positions_are_trained_with_and_said(
    tiny: Callable[..., Run], network: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, seen = tiny("trainer=randomized_positions", "trainer.steps=2"), []
    hidden = network.hidden

    def watched(tokens: torch.Tensor, positions: torch.Tensor, documents: torch.Tensor | None) -> torch.Tensor:
        seen.append(positions)
        read: torch.Tensor = hidden(tokens, positions, documents)
        return read

    network.hidden = watched
    with Journal(tmp_path, "a") as journal:
        extend(network, run, prepared(run, journal), tmp_path / "checkpoints", journal, Stop())

    seen = seen[-2:]  # before the two steps, their memory is predicted
    assert [tuple(positions.shape) for positions in seen] == [(8, 32), (8, 32)]
    assert 32 <= max(int(positions.max()) for positions in seen) < 64
    assert not torch.equal(seen[0], seen[1])
    assert ", at positions drawn below 64\n" in capsys.readouterr().out


def test_settings_of_an_adapter_count_only_with_one_and_recomputing_never(
    tiny: Callable[..., Run], tmp_path: Path
) -> None:
    plain, data = tiny(), prepared(tiny(), Journal(tmp_path, "a"))
    spared = dataclasses.replace(plain.trainer, gradient_checkpointing=True, lora_rank=3)
    adapted = tiny("trainer.adapter=lora")
    known = identity_of(plain, data)

    assert identity_of(dataclasses.replace(plain, trainer=spared), data) == known
    added = identity_of(adapted, data).keys() - known.keys()
    assert added == {"trainer.adapter"} | {
        f"trainer.{name}" for name in vars(plain.trainer) if name.startswith("lora_")
    }


PAIRS = ("dataset=sentiment", "dataset.words=30", "context_length=128", "evaluation.lengths=[192]")


def test_rows_of_whole_pairs_do_not_go_on_from_those_of_pairs_that_were_cut_anywhere(
    tiny: Callable[..., Run], tmp_path: Path
) -> None:
    journal = Journal(tmp_path, "a")
    text, pairs = (identity_of(run, prepared(run, journal)) for run in (tiny(), tiny(*PAIRS)))

    assert "rows" not in text
    assert pairs["rows"] == "whole pairs"


def test_training_on_pairs_goes_on_as_if_it_had_not_been_stopped(
    tiny: Callable[..., Run], network: Any, tmp_path: Path
) -> None:
    run, weights = tiny(*PAIRS), {name: tensor.clone() for name, tensor in network.state_dict().items()}
    data = prepared(run, Journal(tmp_path, "a"))
    with Journal(tmp_path, "a") as journal:
        extend(network, run, data, tmp_path / "checkpoints", journal, Stop())
    whole = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    checkpoint.discard(tmp_path / "checkpoints" / "step-00000004")
    network.load_state_dict(weights)
    with Journal(tmp_path, "a") as journal:
        extend(network, run, data, tmp_path / "checkpoints", journal, Stop())

    samples = [name for row in Journal(tmp_path, "a").rows() for name in row["samples"]]
    assert all(torch.equal(whole[name], tensor) for name, tensor in network.state_dict().items())
    assert {name.split("/")[0] for name in samples} == {"pairs", "recall"}


def test_pairs_that_no_row_holds_whole_are_told_of_once(
    tiny: Callable[..., Run], network: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny(*PAIRS, "context_length=64", "evaluation.every=2")
    with Journal(tmp_path, "a") as journal:
        extend(network, run, prepared(run, journal), tmp_path / "checkpoints", journal, Stop())

    said = capsys.readouterr().out
    assert said.count("of the pairs lose the front of their input to fit a row") == 1
    assert "left out" not in said


CHANGES: dict[str, tuple[str, ...]] = {
    "trainer.batch_tokens": ("trainer.batch_tokens=512",),
    "trainer.positions": ("trainer.positions=pose",),
    "trainer.adapter": ("trainer.adapter=lora",),
    "trainer.lora_targets": ("trainer.lora_targets=[q_proj]",),
    "trainer.lora_trained": ("trainer.lora_trained=[norms]",),
    "trainer.max_grad_norm": ("trainer.max_grad_norm=0.01",),
    "trainer.beta1": ("trainer.beta1=0.5",),
    "trainer.beta2": ("trainer.beta2=0.5",),
    "trainer.warmup_steps": ("trainer.warmup_steps=2",),
    "trainer.resume": ("trainer.resume=never",),
    "trainer.resume_allow": ("trainer.resume_allow=[seed]",),
    "trainer.nonfinite": ("trainer.nonfinite=skip",),
    "base.trained_length": ("base.trained_length=48",),
    "base.batch_tokens": ("base.batch_tokens=64",),
    "dataset.lessons": ("dataset.lessons=[mqar]",),
    "dataset.errors": ("dataset.errors=skip",),
    "dataset.near_duplicates": ("dataset.near_duplicates=0.5",),
    "dataset.words": ("dataset.words=60",),
}
"""How a setting is typed otherwise, where a number is not just doubled, or a word turned."""
BESIDE: dict[str, tuple[str, ...]] = {
    "trainer.max_position": ("trainer.positions=pose",),
    "base.trained_length": ("trainer.positions=pose",),
    "trainer.lora": ("trainer.adapter=lora", "trainer.lora_dropout=0.1"),
}
"""What is typed in both, by how a setting begins that else would do nothing."""
WITHOUT_EFFECT = {
    "trainer.save_every",
    "trainer.keep",
    "trainer.resume",
    "trainer.resume_allow",
    "trainer.nonfinite",
    "trainer.nonfinite_limit",
    "dataset.errors",
}
"""Settings that change no bit of what is trained on clean text, unless a number is not finite."""
IN_LAST_BITS = {"trainer.precision", "trainer.compile", "trainer.gradient_checkpointing"}
"""Tested elsewhere: a dtype, and what a run that goes on is warned of, or proved to be the same."""
NOT_HERE = {"base.path"} | {f"dataset.{name}" for name in ("application", "labels", "held_out", "prompt")}
"""Weights that are read, and how texts are made of examples: what they make is in the identity by its content."""


def settings_of(run: Run) -> dict[str, Any]:
    """Return the value of each setting of the trainer, the dataset and the base by its key."""
    parts = {"trainer": run.trainer, "dataset": run.dataset, "base": run.base}
    return {
        f"{name}.{field.name}": getattr(part, field.name)
        for name, part in parts.items()
        for field in dataclasses.fields(part)
    }


def typed_otherwise(key: str, value: Any) -> tuple[str, ...]:
    """Return what is typed for `key` to have another value than `value`."""
    return CHANGES.get(key) or (f"{key}={2 * value if value else value + 1}",)


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of what is trained once for several tests."""
    return tmp_path_factory.mktemp("twice")


TRAINED: dict[str, tuple[dict[str, Any], str]] = {}


def trained(run: Run, root: Path) -> tuple[dict[str, Any], str]:
    """Return the identity of `run`, and the fingerprint of what two steps make of its weights, trained once."""
    if repr(run) not in TRAINED:
        TRAINED[repr(run)] = trained_anew(run, root)
    return TRAINED[repr(run)]


def trained_anew(run: Run, root: Path) -> tuple[dict[str, Any], str]:
    """Return what `trained` does."""
    journal = Journal(root, "a")
    data = prepared(run, journal)
    network = read_through(untouched(run, data, journal, Stop()), run)
    with TemporaryDirectory(dir=root) as folder:
        course = course_of(network, run, data, rows_of(run, data), Path(folder))
        stop = Stop()
        watcher = Watcher(lambda row: setattr(stop, "asked", row["step"] == 2), lambda step: {}, stop)
        fit(network, course, watcher, *resume(network, course, pytest.fail))
    return course.identity, fingerprint(network.state_dict())


FIELDS = [("trainer", Trainer), ("dataset", Recall), ("base", Base)]
KEYS = {f"{name}.{field.name}" for name, part in FIELDS for field in dataclasses.fields(part)}


@pytest.mark.parametrize("key", sorted(KEYS - IN_LAST_BITS - NOT_HERE))
def test_a_setting_that_changes_a_bit_of_what_is_trained_is_part_of_the_identity(
    key: str, tiny: Callable[..., Run], twice: Path
) -> None:
    shared = next((words for start, words in BESIDE.items() if key.startswith(start)), ())
    first = tiny(f"cache={twice / 'cache'}", *shared)
    second = tiny(f"cache={twice / 'cache'}", *shared, *typed_otherwise(key, settings_of(first)[key]))

    (identity, weights), (other, others) = (trained(run, twice) for run in (first, second))
    assert (identity == other) == (key in WITHOUT_EFFECT)
    if key in WITHOUT_EFFECT:
        assert weights == others
