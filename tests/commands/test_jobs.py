"""Jobs: all are built before the first starts, and how each ended stays in its folder."""

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest
import torch
from omegaconf import DictConfig

from ctxext.commands import jobs
from ctxext.commands.jobs import Errand, built, run, settled
from ctxext.commands.launching import speaking_as
from ctxext.config.record import accept, write_config
from ctxext.config.schema import Run
from ctxext.formats.bases import located
from ctxext.refusal import Refusal
from ctxext.training.lock import lock

ENDS: dict[int, BaseException] = {
    90: Refusal("notes.txt:3:\nnot UTF-8"),
    91: RuntimeError("not finite"),
    92: SystemExit(75),
}


@pytest.fixture
def carried_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Errand]:
    """Return a function that trains under overrides, in an empty folder, with a stage that ends as the seed says."""
    monkeypatch.chdir(tmp_path)

    def stage(run: Run, folder: Path) -> None:
        if run.seed in ENDS:
            raise ENDS[run.seed]

    monkeypatch.setitem(sys.modules, "fake_stages", types.SimpleNamespace(stage=stage))

    def carry_out(*words: str, command: str = "train") -> Errand:
        said: list[str] = []
        errand = Errand(command, "fake_stages:stage", show_traceback=False, announce=said.append)
        with speaking_as(["ctxext", *words]):
            run(errand)
        assert len(said) == errand.planned
        return errand

    return carry_out


def test_a_refused_job_leaves_the_record_of_the_earlier_run(carried_out: Callable[..., Errand]) -> None:
    carried_out("seed=1", "hydra.run.dir=here")
    before = Path("here/config.yaml").read_bytes()

    (outcome,) = carried_out("seed=90", "hydra.run.dir=here").outcomes

    assert (outcome.status, outcome.sentence) == ("refused", "notes.txt:3: not UTF-8")
    assert Path("here/config.yaml").read_bytes() == before
    assert not Path("here/failure.json").exists()


def test_a_refused_job_in_its_own_folder_is_recorded_until_it_is_done(carried_out: Callable[..., Errand]) -> None:
    carried_out("seed=90", "hydra.run.dir=here")
    assert json.loads(Path("here/failure.json").read_text(encoding="utf-8"))["status"] == "refused"
    assert "seed: 90" in Path("here/config.yaml").read_text(encoding="utf-8")

    carried_out("seed=1", "hydra.run.dir=here")
    assert not Path("here/failure.json").exists()
    assert "seed: 1\n" in Path("here/config.yaml").read_text(encoding="utf-8")


def test_a_job_that_failed_or_was_interrupted_is_recorded_beside_its_config(
    carried_out: Callable[..., Errand],
) -> None:
    carried_out("seed=1", "hydra.run.dir=here")
    carried_out("seed=91", "hydra.run.dir=here")
    assert json.loads(Path("here/failure.json").read_text(encoding="utf-8"))["sentence"] == "RuntimeError: not finite"
    with pytest.raises(SystemExit):
        carried_out("seed=92", "hydra.run.dir=here")
    assert json.loads(Path("here/failure.json").read_text(encoding="utf-8"))["status"] == "interrupted"
    assert "seed: 92" in Path("here/config.yaml").read_text(encoding="utf-8")


def test_what_an_earlier_try_recorded_is_gone_while_a_job_is_at_work_and_back_if_it_is_refused(
    carried_out: Callable[..., Errand], monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out("seed=91", "hydra.run.dir=here")
    before = Path("here/failure.json").read_bytes()
    there = []

    def stage(run: Run, folder: Path) -> None:
        there.append((folder / "failure.json").exists())  # a kill would leave it at that
        raise Refusal("notes.txt: no such file")

    monkeypatch.setitem(sys.modules, "fake_stages", types.SimpleNamespace(stage=stage))
    carried_out("seed=1", "hydra.run.dir=here")
    assert there == [False]
    assert Path("here/failure.json").read_bytes() == before
    with lock(Path("here"), pytest.fail):
        carried_out("seed=1", "hydra.run.dir=here")
    assert Path("here/failure.json").read_bytes() == before


def test_a_text_that_was_interrupted_is_no_failure(carried_out: Callable[..., Errand]) -> None:
    with pytest.raises(SystemExit):
        carried_out("seed=92", "prompt=a", "hydra.run.dir=here", command="generate")
    assert not Path("here/failure.json").exists()
    carried_out("seed=91", "prompt=a", "hydra.run.dir=here", command="generate")
    assert Path("here/failure.json").exists()


@pytest.mark.parametrize("words", [("context_length=-5",), ("-m", "seed=1,2", "context_length=512,-5"), ("run=x",)])
def test_a_mistake_refuses_all_jobs_before_a_folder_is_made(
    words: tuple[str, ...], carried_out: Callable[..., Errand]
) -> None:
    with pytest.raises(Refusal):
        carried_out(*words)
    assert not list(Path.cwd().iterdir())
    assert jobs.current == []


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            lambda base: cut(base / "model.safetensors"),
            "model.safetensors: not a whole safetensors file, it should have",
        ),
        (lambda base: cut(base / "tokenizer.json"), "tokenizer.json: not a tokenizer.json"),
        (lambda base: (base / "tokenizer.json").unlink(), "tokenizer.json: no such tokenizer file"),
        (lambda base: None, "model.hidden_size is 64, but base.path"),
    ],
)
@pytest.mark.parametrize("words", [(), ("-m", "seed=1,2")])
def test_a_base_that_cannot_be_read_refuses_all_jobs_before_a_folder_is_made(
    spoil: Callable[[Path], None], sentence: str, words: tuple[str, ...], carried_out: Callable[..., Errand]
) -> None:
    base = Path("base")
    copytree(located("pkg://tiny"), base)
    spoil(base)
    with pytest.raises(Refusal) as caught:
        carried_out(*words, "base=hf", "base.path=base", *(["model.hidden_size=64"] if "hidden" in sentence else []))
    assert sentence in str(caught.value)
    assert list(Path.cwd().iterdir()) == [Path.cwd() / "base"]


def test_numbers_too_small_for_full_precision_are_0_before_anything_is_built(
    composed: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def tails() -> int:
        return int(torch.full((3,), 1e-20).mul(1e-20).count_nonzero())

    seen = []
    monkeypatch.setattr("ctxext.config.building.build", lambda config: seen.append(tails()))
    torch.set_flush_denormal(False)
    try:
        assert tails() == 3
        built(composed())
        assert seen == [0]
    finally:
        torch.set_flush_denormal(False)


def test_what_measures_nothing_is_refused_by_no_evaluation(composed: Callable[..., DictConfig]) -> None:
    short = ("base.trained_length=64", "prompt=a")
    for command in ("export", "generate"):
        assert built(settled(command, composed(*short), short)).base.trained_length == 64
    scored = (*short, "evaluation.scored_tokens=64")
    with pytest.raises(Refusal, match=r"got 32; choose evaluation\.scored_tokens=16, or longer evaluation\.lengths"):
        built(settled("eval", composed(*scored), scored))


def stage_that(act: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stage do `act` in its folder, and be interrupted then."""

    def stage(run: Run, folder: Path) -> None:
        act(folder)
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "fake_stages", types.SimpleNamespace(stage=stage))


@pytest.mark.parametrize("command", ["train", "eval", "export", "prepare", "check"])
def test_a_config_takes_the_place_of_one_that_checkpoints_fit_only_once_it_fits_them(
    command: str, carried_out: Callable[..., Errand], monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out("seed=1", "hydra.run.dir=here")
    before = Path("here/config.yaml").read_bytes()
    Path("here/checkpoints/step-00000002").mkdir(parents=True)

    carried_out("seed=2", "hydra.run.dir=here", command=command)  # ends before it goes on from them
    carried_out("seed=91", "hydra.run.dir=here", command=command)
    stage_that(lambda folder: accept(folder / "elsewhere"), monkeypatch)  # as of a base that is trained
    with pytest.raises(KeyboardInterrupt):
        carried_out("seed=3", "hydra.run.dir=here", command=command)
    assert Path("here/config.yaml").read_bytes() == before
    assert not list(Path("here").glob("*.part*"))

    stage_that(accept, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        carried_out("seed=4", "hydra.run.dir=here", command=command)
    assert "seed: 4" in Path("here/config.yaml").read_text(encoding="utf-8")


def test_what_is_refused_after_it_was_trained_keeps_its_own_config(
    carried_out: Callable[..., Errand], monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out("seed=1", "hydra.run.dir=here")

    def stage(run: Run, folder: Path) -> None:
        accept(folder)
        raise Refusal("no export")

    monkeypatch.setitem(sys.modules, "fake_stages", types.SimpleNamespace(stage=stage))
    carried_out("seed=2", "hydra.run.dir=here")
    assert "seed: 2" in Path("here/config.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["train", "eval", "search", "export", "prepare", "check"])
def test_who_finds_the_folder_held_writes_nothing_there(command: str, carried_out: Callable[..., Errand]) -> None:
    with lock(Path("here"), pytest.fail):
        words = ("+method=longrope",) if command == "search" else ()
        (outcome,) = carried_out("seed=1", "hydra.run.dir=here", *words, command=command).outcomes
        assert outcome.status == "refused"
        assert "another run holds this folder" in outcome.sentence
        assert {path.name for path in Path("here").iterdir()} <= {".lock", ".hydra", f"{command}.log", "ctxext.log"}


def test_a_cache_that_can_be_no_folder_is_refused_by_its_name(carried_out: Callable[..., Errand]) -> None:
    (outcome,) = carried_out("cache=/dev/null/x", "hydra.run.dir=here").outcomes
    assert outcome.status == "refused"
    assert outcome.sentence.startswith("cache=/dev/null/x: no folder can be made there (/dev/null is no folder); ")


def test_a_sweep_goes_on_after_a_job_that_ended_badly(carried_out: Callable[..., Errand]) -> None:
    errand = carried_out("-m", "seed=90,91,2")
    assert errand.is_sweep
    assert [outcome.status for outcome in errand.outcomes] == ["refused", "failed", "done"]
    assert [(outcome.folder / "failure.json").exists() for outcome in errand.outcomes] == [True, True, False]


def test_only_commands_without_training_take_an_earlier_run(
    composed: Callable[..., DictConfig], tmp_path: Path
) -> None:
    write_config(composed("seed=3"), tmp_path)
    now = composed(f"run='{tmp_path}'")

    for command in ("train", "prepare"):
        with pytest.raises(Refusal, match=rf"is of eval, export and generate; {command} takes base\.path"):
            settled(command, now, [])
    assert settled("eval", now, []).seed == settled("export", now, []).seed == 3
    assert settled("export", composed(), []).trainer.steps == 0


@pytest.mark.parametrize("command", ["eval", "export", "generate"])
def test_a_hugging_face_folder_is_taken_as_the_base(
    command: str, composed: Callable[..., DictConfig], tmp_path: Path
) -> None:
    copytree(located("pkg://tiny"), tmp_path / "other")
    typed = composed(f"run='{tmp_path / 'other'}'", "prompt=hello")
    found = settled(command, typed, [])
    assert (found.run, found.base.path) == ("", str(tmp_path / "other"))
    assert typed.run == str(tmp_path / "other")


def test_a_refusal_of_one_job_of_a_sweep_begins_with_the_point_and_ends_with_what_is_the_job_s_own(
    carried_out: Callable[..., Errand],
) -> None:
    with pytest.raises(Refusal) as caught:
        carried_out("-m", "context_length=512,-5", "seed=1", "dataset=stdlib")
    said = str(caught.value)
    assert said.startswith("context_length")
    assert said.endswith(" (job context_length=-5)")


def test_the_folders_of_a_sweep_over_runs_have_the_names_and_targets_of_the_runs(
    carried_out: Callable[..., Errand],
) -> None:
    carried_out("+method=yarn", "context_length=512", "hydra.run.dir=A")
    carried_out("+method=rope_ntk", "hydra.run.dir=B")
    own = carried_out("-m", "run=A,B", "hydra.sweep.dir=own", command="eval").outcomes
    typed = carried_out("-m", "run=A,B", "name=mine", "hydra.sweep.dir=typed", command="eval").outcomes
    assert [outcome.folder.name for outcome in own] == ["0_yarn_512", "1_rope_ntk_1024"]
    assert [outcome.name for outcome in own] == ["yarn", "rope_ntk"]
    assert [outcome.folder.name for outcome in typed] == ["0_mine_512", "1_mine_1024"]
