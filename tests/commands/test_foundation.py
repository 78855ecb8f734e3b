"""The base of a run: read as it is, refused if it is another, or trained once for all that share it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ctxext.commands.foundation import prepared, read_base, untouched
from ctxext.commands.train import train
from ctxext.config.schema import Run
from ctxext.formats.companions import plain_companions
from ctxext.formats.huggingface.writing.folder import write
from ctxext.refusal import Refusal
from ctxext.reporting.journal import Journal
from ctxext.training.lock import lock
from ctxext.training.signals import Stop

SHORT = ("evaluation.lengths=[32,64]", "evaluation.subjects=[extended]", "trainer.steps=1")


@pytest.fixture
def folder(tiny: Callable[..., Run], tmp_path: Path) -> Path:
    """A Hugging Face folder of an untouched tiny base, trained at 32 tokens."""
    run = tiny()
    data = prepared(run, Journal(tmp_path, "a"))
    torch.manual_seed(3)
    write(
        tmp_path / "base",
        run.model.build(run.position, run.mask, run.attention),
        data.tokenizer,
        plain_companions(data.tokenizer),
        32,
    )
    return tmp_path / "base"


def test_a_base_is_read_as_it_lies_there(folder: Path, tiny: Callable[..., Run]) -> None:
    run = tiny(f"base.path={folder}", "base.steps=0", "+method=rope_interp")
    torch.manual_seed(3)
    wanted = run.model.build(run.position.base(), run.mask, run.attention)
    found = read_base(run)

    assert found.position == run.position.base()
    assert all(torch.equal(found.state_dict()[name], tensor) for name, tensor in wanted.state_dict().items())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("model.intermediate_size=40",), "model.intermediate_size is 40, but base.path={} has 48; drop it"),
        (("base.trained_length=64",), "base.trained_length is 64, but base.path={} was trained at 32; drop it"),
        (
            ("position.rope_theta=20000.0",),
            "position=rope with position.rope_theta=20000.0 can't take the weights of base.path={}, which were trained "
            "with Rope(rope_theta=10000.0); add base=none",
        ),
    ],
)
def test_another_composition_is_refused_in_a_sentence(
    words: tuple[str, ...], sentence: str, folder: Path, tiny: Callable[..., Run]
) -> None:
    with pytest.raises(Refusal) as raised:
        read_base(tiny(f"base.path={folder}", "base.steps=0", *words))

    assert str(raised.value).startswith(sentence.format(folder))
    assert "\n" not in str(raised.value)


def test_positions_that_the_base_was_not_trained_with_are_refused(folder: Path, tiny: Callable[..., Run]) -> None:
    with pytest.raises(Refusal, match=r"position=alibi can't take the weights of base\.path="):
        tiny(f"base.path={folder}", "base.steps=0", "position=alibi")


def test_methods_that_share_a_base_train_it_once(
    tiny: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("rope_interp", "sliding_window", "log_n", "pose"):
        train(tiny(*SHORT, f"+method={name}"), tmp_path / name)

    assert len(list((tmp_path / "cache" / "bases").iterdir())) == 1
    assert capsys.readouterr().out.count("train  at 32 tokens, 3 steps of 128 tokens") == 1


@pytest.mark.parametrize("word", ["seed=1", "+method=alibi", "base.steps=2", "base.learning_rate=1e-3"])
def test_another_base_is_trained_for_whatever_changes_its_weights(
    word: str, tiny: Callable[..., Run], tmp_path: Path
) -> None:
    bases = []
    for run in (tiny(), tiny(word)):
        journal = Journal(tmp_path, "a")
        bases.append(untouched(run, prepared(run, journal), journal, Stop()))

    assert len(list((tmp_path / "cache" / "bases").iterdir())) == 2
    first, second = (base.state_dict()["norm.weight"] for base in bases)
    assert not torch.equal(first, second)


def test_a_base_taken_from_the_cache_is_the_one_that_was_trained(tiny: Callable[..., Run], tmp_path: Path) -> None:
    run, journal = tiny(), Journal(tmp_path, "a")
    data = prepared(run, journal)
    fresh = untouched(run, data, journal, Stop())
    torch.manual_seed(99)
    kept = untouched(run, data, journal, Stop())

    assert fresh is not kept
    assert all(torch.equal(kept.state_dict()[name], tensor) for name, tensor in fresh.state_dict().items())


def test_a_base_that_another_process_trains_is_waited_for_until_it_is_done_or_a_stop_is_asked_for(
    tiny: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, journal, stop = tiny(), Journal(tmp_path, "a"), Stop()
    data = prepared(run, journal)
    untouched(run, data, journal, Stop())
    (base,) = (tmp_path / "cache" / "bases").iterdir()

    stop.asked = True
    with lock(base, journal.say), pytest.raises(SystemExit) as ended:
        untouched(run, data, journal, stop)
    assert ended.value.code == 75
    assert "another run holds this folder" in capsys.readouterr().out
