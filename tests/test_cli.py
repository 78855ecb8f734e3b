"""The command line: what is refused and how it is said, what it costs to ask, sweeps, and completion."""

import json
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from ctxext import cli
from ctxext.commands import jobs
from ctxext.config.schema import Run
from ctxext.formats.bases import located
from ctxext.refusal import Refusal
from ctxext.training.lock import lock

Ran = list[tuple[Run, Path]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Return a function that types words after `ctxext` in an empty folder, and returns the exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def type_words(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["ctxext", *words])
        return cli.main()

    return type_words


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Put a stage in the place of every command that keeps what it is given; seeds from 90 on end it in some way."""
    kept: Ran = []

    def stage(run: Run, folder: Path) -> None:
        kept.append((run, folder))
        if run.seed == 90:
            raise Refusal("notes.txt:3: not UTF-8")
        if run.seed == 91:
            raise RuntimeError("the loss is\nnot finite")
        if run.seed == 92:
            raise SystemExit(75)
        if run.seed == 93:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "fake_stages", types.SimpleNamespace(stage=stage))
    fakes = {name: real._replace(function="fake_stages:stage") for name, real in cli.STAGES.items()}
    monkeypatch.setattr(cli, "STAGES", fakes)
    return kept


WRONG = [
    ("+methd=yarn", "methd: no such key; did you mean 'method'? (write +method=NAME)"),
    ("+trainer.stepz=3", "trainer.stepz: no such key; did you mean 'steps'?"),
    ("trainer.stepz=3", "trainer.stepz: no such key; did you mean 'steps'?"),
    ("trainer.learning_rate=abc", "trainer.learning_rate must be a number, got 'abc'"),
    ("context_length=-5", "context_length must be above 0 tokens, got -5"),
    (
        "position=alibi position.factor=4",
        "position.factor: position=alibi takes no 'factor'; drop it, or use position=gemma3_rope, llama3, ",
    ),
    ("position=yarn position.factor=abc", "position.factor must be a number, got 'abc'"),
    ("+method=rope_intrp", "+method=rope_intrp: no such option; did you mean 'rope_interp'?"),
    ("method=yarn", "write +method=yarn"),
    ("postion=yarn", "postion: no such key; did you mean 'position'?"),
    ("position=3", "position=3: a group takes the name of an option"),
    ("seed=[", "'seed=[' can't be read as KEY=VALUE"),
    ("seed=1,2", "seed=1,2: several values are a sweep; add -m"),
    ("name=${nme}", "name: Interpolation key 'nme' not found"),
    ("run=outputs/x", "run=outputs/x is of eval, export and generate"),
    ("--foo", "unrecognized arguments: --foo"),
    ("--cfg jub", "invalid choice: 'jub'"),
    ("--experimental-rerun config.pickle", "would load a pickle"),
    ("--config-dir nowhere", "--config-dir nowhere: no such folder"),
]


@pytest.mark.parametrize(("words", "fragment"), WRONG, ids=[words for words, _ in WRONG])
def test_a_wrong_command_line_is_refused_in_one_sentence_before_a_folder_is_made(
    words: str, fragment: str, typed: Callable[..., int], ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    status = typed("train", *words.split())

    said = capsys.readouterr()
    assert status == 2
    assert said.err.startswith("ctxext: ")
    assert fragment in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert not ran
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        ("trian", "no command 'trian'; did you mean 'train'?"),
        ("position=yarn", "write ctxext train position=yarn"),
        ("ls positoin", "ls positoin: no such group; did you mean 'position'?"),
        ("ls position mask", "unrecognized arguments: mask"),
        ("ls --config-dir nowhere", "--config-dir nowhere: no such folder"),
        ("train --config-dir nowhere", "--config-dir nowhere: no such folder"),
        (f"compare {'x' * 300}", "x: can't be read (File name too long)"),
        ("compare . --html", "argument --html: expected one argument\n"),
        (
            "train hydra.job_logging=none",
            "hydra.job_logging must be a group of keys, got 'none'; hydra/job_logging=NAME chooses one",
        ),
        ("train hydra.verbose=3", "hydra.verbose must be true, false or the names of loggers, got '3'"),
        (
            "train hydra.sweeper=null -m",
            "hydra.sweeper must be a group of keys, got 'null'; hydra/sweeper=NAME chooses",
        ),
        ("train hydra.sweeper.max_batch_size=x -m", "hydra.sweeper.max_batch_size must be a whole number, got 'x'"),
    ],
)
def test_a_wrong_command_is_refused_in_one_sentence(
    words: str, fragment: str, typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(*words.split()) == 2
    said = capsys.readouterr().err
    assert fragment in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", [*cli.STAGES, *cli.PLAIN])
def test_help_of_a_command_shows_three_examples(
    command: str, typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(command, "--help") == 0
    assert capsys.readouterr().out.count(f"  ctxext {command}") == 3


EXAMPLES = [example for name in ("train", "prepare", "search") for example in cli.STAGES[name].examples]


@pytest.mark.parametrize("example", [*EXAMPLES, cli.STAGES["eval"].examples[0], cli.STAGES["eval"].examples[2]])
def test_every_example_that_needs_no_earlier_run_composes(example: str, typed: Callable[..., int], ran: Ran) -> None:
    assert typed(*example.split()[1:]) == 0
    assert ran


def test_a_typed_folder_may_hold_commas(typed: Callable[..., int], ran: Ran) -> None:
    assert typed("train", "hydra.run.dir=a,b (1)") == 0
    assert ran[0][1] == Path.cwd() / "a,b (1)"


def test_help_names_every_command(typed: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert typed() == 0
    said = capsys.readouterr().out
    assert all(f"ctxext {command} " in said for command in [*cli.STAGES, *cli.PLAIN])


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("train", "--help"),
        ("compare", "--help"),
        ("compare", "nowhere"),
        ("ls",),
        ("train", "+method=yarn", "--cfg", "job"),
        ("trian",),
    ],
)
def test_asking_costs_under_a_second_and_no_torch(words: tuple[str, ...], tmp_path: Path) -> None:
    program = (
        "import resource, sys; from ctxext.cli import main; main()\n"
        "assert 'torch' not in sys.modules\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "assert used.ru_utime + used.ru_stime < 1, used"
    )
    root = str(Path(cli.__file__).parents[1])
    line = [sys.executable, "-W", "error", "-c", program, *words]
    done = subprocess.run(line, cwd=tmp_path, env=os.environ | {"PYTHONPATH": root}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_module_is_the_program(tmp_path: Path) -> None:
    root = str(Path(cli.__file__).parents[1])
    line = [sys.executable, "-W", "error", "-m", "ctxext", "train", "+trainer.stepz=3"]
    done = subprocess.run(line, cwd=tmp_path, env=os.environ | {"PYTHONPATH": root}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "ctxext: trainer.stepz: no such key; did you mean 'steps'?\n"


def test_a_stage_gets_the_typed_run_and_its_folder_with_the_resolved_config(
    typed: Callable[..., int], ran: Ran
) -> None:
    assert typed("train", "+method=yarn", "context_length=512", "hydra.run.dir=here") == 0
    run, folder = ran[0]
    assert folder == Path.cwd() / "here"
    saved = (folder / "config.yaml").read_text(encoding="utf-8")
    assert "${" not in saved
    assert OmegaConf.create(saved).position.factor == run.position.factor == 2
    assert run.name == "yarn"


def test_an_awkward_path_arrives_as_it_was_typed(typed: Callable[..., int], ran: Ran) -> None:
    assert typed("train", "dataset=text", "dataset.path=it's a,b(1)=c.txt") == 0
    assert ran[0][0].dataset.path == "it's a,b(1)=c.txt"


def test_paths_in_commas_are_a_sweep_where_one_was_asked_for(typed: Callable[..., int], ran: Ran) -> None:
    assert typed("train", "-m", "dataset=text", "dataset.path=a,b") == 0
    assert [run.dataset.path for run, _ in ran] == ["a", "b"]


def test_overrides_may_stand_after_flags(typed: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("train", "seed=1", "--cfg", "job", "context_length=512") == 0
    assert OmegaConf.create(capsys.readouterr().out).context_length == 512


@pytest.mark.parametrize(
    ("seed", "status", "sentence"),
    [
        (90, 2, "ctxext: notes.txt:3: not UTF-8\n"),
        (91, 1, "ctxext: RuntimeError: the loss is not finite\n"),
        (92, 75, ""),
        (93, 1, "ctxext: interrupted\n"),
    ],
)
def test_a_stage_that_ends_badly_says_so_in_a_sentence_and_in_its_folder(
    seed: int, status: int, sentence: str, typed: Callable[..., int], ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("train", f"seed={seed}") == status
    assert capsys.readouterr().err == sentence
    assert ("Traceback" in (ran[0][1] / "ctxext.log").read_text(encoding="utf-8")) == bool(
        status in (1, 2) and seed != 93
    )
    failure = json.loads((ran[0][1] / "failure.json").read_text(encoding="utf-8"))
    assert failure["status"] == {2: "refused"}.get(status, "failed" if seed == 91 else "interrupted")


def test_the_traceback_comes_with_the_environment_variable(
    typed: Callable[..., int], ran: Ran, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert typed("train", "seed=91") == 1
    assert typed("train", "+trainer.stepz=3") == 2
    said = capsys.readouterr().err
    assert said.count("Traceback (most recent call last)") >= 2
    assert "in stage" in said
    assert "ConfigKeyError" in said
    assert os.environ["HYDRA_FULL_ERROR"] == "1"


def test_a_run_leaves_the_process_as_it_was(typed: Callable[..., int], ran: Ran) -> None:
    assert typed("train", "name=a") == 0
    assert "HYDRA_FULL_ERROR" not in os.environ
    assert sys.argv == ["ctxext", "train", "name=a"]


def test_a_sweep_runs_every_combination_in_order_and_ends_with_a_table(
    typed: Callable[..., int], ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("train", "-m", "+method=rope_interp,yarn", "context_length=512,1024") == 0

    assert [(run.name, run.context_length) for run, _ in ran] == [
        ("rope_interp", 512),
        ("rope_interp", 1024),
        ("yarn", 512),
        ("yarn", 1024),
    ]
    assert [folder.name for _, folder in ran] == [
        "0_rope_interp_512",
        "1_rope_interp_1024",
        "2_yarn_512",
        "3_yarn_1024",
    ]
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["job", "name", "context_length", "nll", "passkey", "status"]
    assert [line.split() for line in table[1:]] == [
        [str(number), run.name, str(run.context_length), "done"] for number, (run, _) in enumerate(ran)
    ]


@pytest.mark.parametrize(("command", "is_shown"), [("train", True), ("eval", True), ("check", False)])
def test_a_sweep_that_measured_ends_with_its_runs_side_by_side_and_where_there_is_more(
    command: str,
    is_shown: bool,
    typed: Callable[..., int],
    run_in: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    losses = {"base": {256: [3.0, 3.1]}, "extended": {256: [2.5, 2.6]}}

    def stage(run: Run, folder: Path) -> None:
        copytree(run_in(f"made/{run.name}", losses), folder, dirs_exist_ok=True)

    monkeypatch.setitem(sys.modules, "fake_stages", types.SimpleNamespace(stage=stage))
    fakes = {name: real._replace(function="fake_stages:stage") for name, real in cli.STAGES.items()}
    monkeypatch.setattr(cli, "STAGES", fakes)

    assert typed(command, "-m", "+method=yarn,rope_ntk", "hydra.sweep.dir=sweep") == 0

    said = capsys.readouterr().out
    assert ("NLL" in said, "VERDICT" in said, "PERPLEXITY" in said) == (is_shown, is_shown, False)
    assert said.endswith("more of it: ctxext compare sweep\n") == is_shown


def test_a_sweep_whose_results_are_broken_ends_as_its_jobs_did(
    typed: Callable[..., int], ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    for job in ("0_yarn_1024", "1_rope_ntk_1024"):
        (Path.cwd() / "sweep" / job).mkdir(parents=True)
        (Path.cwd() / "sweep" / job / "results.json").write_text("{", encoding="utf-8")
    assert typed("train", "-m", "+method=yarn,rope_ntk", "hydra.sweep.dir=sweep") == 0
    assert "the runs are not compared: " in capsys.readouterr().err


def lose(at: int, elsewhere: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what starts jobs lose the one with the number `at`; those before end here, or `elsewhere`, unknown here."""
    launcher: Any = Plugins.instance().class_name_to_class["hydra._internal.core_plugins.basic_launcher.BasicLauncher"]
    launch = launcher.launch

    def launch_some(self: object, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> None:
        outcomes = jobs.current[-1].outcomes
        if at:
            launch(self, job_overrides=job_overrides[:at], initial_job_idx=initial_job_idx)
        if elsewhere:
            outcomes.clear()
        raise RuntimeError("Job 7 has not produced any output\n" * 100)

    monkeypatch.setattr(launcher, "launch", launch_some)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_sweep_whose_launcher_loses_a_job_ends_with_its_table(
    elsewhere: bool,
    typed: Callable[..., int],
    ran: Ran,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lose(1, elsewhere, monkeypatch)
    assert typed("train", "-m", "seed=1,2,3", "hydra.sweep.dir=sweep") == 1
    said = capsys.readouterr()
    first, row = said.out.splitlines()
    assert first.startswith("job  name")
    assert row.startswith("0 ")
    sentence = said.err.strip().splitlines()[-1]
    assert sentence.startswith("ctxext: the sweep ended early, when 1 of 3 jobs had begun; ")
    assert "hydra.sweep.dir=sweep goes on (Job 7 has" in sentence
    assert len(sentence) < 400


def test_a_launcher_that_starts_nothing_is_refused_be_there_an_earlier_sweep_or_not(
    typed: Callable[..., int], ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("train", "-m", "seed=1,2,3", "hydra.sweep.dir=sweep") == 0
    capsys.readouterr()
    lose(0, False, monkeypatch)
    assert typed("train", "-m", "seed=1,2,3", "hydra.sweep.dir=sweep") == 2
    assert capsys.readouterr().out == ""


def test_runs_are_compared(
    typed: Callable[..., int], run_in: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(run_in(name, {"base": {256: [3.0]}, "extended": {256: [2.5]}})) for name in "ab"]
    assert typed("compare", *paths, "--json") == 0
    assert [run["name"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["a", "b"]


def test_a_sweep_with_a_mistake_in_one_job_is_refused_whole(
    typed: Callable[..., int], ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("train", "-m", "+method=yarn", "context_length=512,1024,128") == 2
    said = capsys.readouterr().err
    assert said.startswith("ctxext: context_length=128 is below base.trained_length=256")
    assert "(job context_length=128)" in said
    assert said.count("\n") == 1
    assert not ran
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize(
    "words", ["+methd=yarn seed=1,2", "+trainer.stepz=3,4", "+method=yarn,rope_intrp", "seed=range(1,x)"]
)
def test_a_sweep_with_a_wrong_word_is_refused_whole(
    words: str, typed: Callable[..., int], ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("train", "-m", *words.split()) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not ran


def test_a_sweep_goes_on_after_failures_and_names_each(
    typed: Callable[..., int], ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("train", "-m", "seed=90,91,2") == 1
    assert [run.seed for run, _ in ran] == [90, 91, 2]
    table = capsys.readouterr().out.splitlines()
    assert table[1].endswith("refused: notes.txt:3: not UTF-8")
    assert table[2].endswith("failed: RuntimeError: the loss is not finite")
    assert table[3].endswith("done")


@pytest.mark.parametrize(("seed", "status"), [(92, 75), (93, 1)])
def test_an_interruption_ends_a_sweep_at_once(seed: int, status: int, typed: Callable[..., int], ran: Ran) -> None:
    assert typed("train", "-m", f"seed={seed},2") == status
    assert [run.seed for run, _ in ran] == [seed]


def test_a_job_does_not_depend_on_the_one_before(typed: Callable[..., int], ran: Ran) -> None:
    assert typed("train", "-m", "+method=alibi,yarn") == 0
    assert typed("train", "+method=yarn") == 0
    assert ran[1][0] == ran[2][0]


def test_an_evaluation_of_a_run_changes_only_what_was_typed(typed: Callable[..., int], ran: Ran) -> None:
    assert typed("train", "+method=yarn", "context_length=512", "position.beta_fast=16", "hydra.run.dir='a,b'") == 0
    assert typed("eval", "run=a,b", "evaluation.documents=7") == 0
    first, second = ran[0][0], ran[1][0]
    assert second.run == "a,b"
    assert second.evaluation.documents == 7
    assert (second.position, second.context_length, second.name) == (first.position, 512, "yarn")


def test_a_folder_of_hugging_face_is_a_base_to_evaluate(typed: Callable[..., int], ran: Ran, tmp_path: Path) -> None:
    copytree(located("pkg://tiny"), tmp_path / "hf")
    assert typed("eval", "run=hf", "+method=yarn") == 0
    assert (ran[0][0].run, ran[0][0].base.path, ran[0][0].name) == ("", "hf", "yarn")


@pytest.mark.parametrize("words", [("eval",), ("eval", "-m", "seed=1,2"), ("export",), ("train", "+method=yarn")])
def test_a_base_that_is_cut_off_is_refused_before_a_folder_is_made(
    words: tuple[str, ...], typed: Callable[..., int], ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    copytree(located("pkg://tiny"), "hf")
    weights = Path("hf/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])

    assert typed(*words, "base=hf", "base.path=hf") == 2

    said, size = capsys.readouterr().err, weights.stat().st_size
    assert (
        f"hf/model.safetensors: not a whole safetensors file, it should have {size + 1} bytes, and has {size}" in said
    )
    assert said.count("\n") == 1
    assert (ran, list(Path.cwd().iterdir())) == ([], [Path.cwd() / "hf"])


def test_a_folder_that_cannot_be_made_is_named_with_its_key(
    typed: Callable[..., int], ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    assert typed("train", "hydra.run.dir=file/a") == 2
    said = "ctxext: hydra.run.dir: no folder can be made at file/a (Not a directory); "
    assert capsys.readouterr().err == f"{said}write hydra.run.dir=FOLDER with another\n"
    assert typed("train", "-m", "seed=1,2", "hydra.sweep.dir=file") == 2
    assert capsys.readouterr().err.startswith("ctxext: hydra.sweep.dir: no folder can be made at file (File exists)")
    assert not ran


@pytest.mark.parametrize("command", ["train", "check"])
@pytest.mark.parametrize("kind", ["long", "itself", "lock"])
def test_a_folder_that_can_hold_no_run_is_refused_in_a_sentence(
    command: str, kind: str, typed: Callable[..., int], ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("itself").symlink_to("itself")
    Path("lock/.lock").mkdir(parents=True)
    folder = {"long": "long" * 99}.get(kind, kind)
    assert typed(command, f"hydra.run.dir={folder}") == 2
    said = capsys.readouterr().err
    assert said.startswith("ctxext: hydra.run.dir: no ")
    assert len(said.splitlines()) == 1
    assert ran == []


def test_an_export_without_a_run_is_of_the_base_and_trains_nothing(typed: Callable[..., int], ran: Ran) -> None:
    assert typed("export", "+method=yarn") == 0
    assert (ran[0][0].run, ran[0][0].base.path, ran[0][0].trainer.steps) == ("", "pkg://tiny", 0)


def test_a_missing_run_is_refused_with_the_nearest(
    typed: Callable[..., int], ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("train", "name=first", "hydra.run.dir=outputs/first/day") == 0
    assert typed("eval", "run=outputs/frist/day") == 2
    assert "did you mean 'outputs/first/day'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "position", "name"),
    [
        ("", "LongRope", "longrope"),
        ("seed=1 --config-dir .", "LongRope", "longrope"),
        ("position=longrope", "LongRope", "base"),
        ("+method=yarn", "Yarn", "yarn"),
    ],
)
def test_a_search_takes_longrope_where_nothing_else_is_chosen(
    words: str, position: str, name: str, typed: Callable[..., int], ran: Ran
) -> None:
    assert typed("search", *words.split()) == 0
    assert (type(ran[0][0].position).__name__, ran[0][0].name) == (position, name)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ctxext tr", ["train"]),
        ("ctxext ", ["train", "eval", "export", "generate", "prepare", "check", "search", "compare", "ls"]),
        ("ctxext train position=ya", ["position=yarn"]),
        ("ctxext eval trainer.st", ["trainer.steps="]),
    ],
)
def test_a_shell_completes_commands_options_and_keys(
    line: str,
    offered: list[str],
    typed: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    assert typed("-sc", "query=bash") == 0
    assert capsys.readouterr().out.split() == offered


def test_completion_installs_for_the_program(typed: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("train", "-sc", "install=bash") == 0
    assert capsys.readouterr().out.rstrip().endswith("-F hydra_bash_completion ctxext")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            RecursionError("maximum\ndepth"),
            "RecursionError: maximum depth; HYDRA_FULL_ERROR=1 shows where it comes from",
        ),
        (OSError(36, "File name too long", "xxx"), "xxx: can't be read (File name too long)"),
    ],
)
def test_an_error_that_no_command_has_words_for_is_a_sentence_too(
    error: Exception,
    said: str,
    typed: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "list_options", fail)
    assert typed("ls") == 2
    assert capsys.readouterr().err == f"ctxext: {said}\n"
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert cli.main() == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["ls model", "train model=bad", "train model=bad,small -m"])
def test_an_option_file_that_is_no_utf8_is_named(
    words: str, typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("own/model").mkdir(parents=True)
    Path("own/model/bad.yaml").write_bytes(b"a: \xff\n")
    assert typed(*words.split(), "--config-dir", "own") == 2
    assert "own/model/bad.yaml: not UTF-8 (invalid start byte at byte 3)" in capsys.readouterr().err


def test_an_option_file_without_a_comment_is_listed(
    typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("own/model").mkdir(parents=True)
    Path("own/model/bare.yaml").write_text("a: 1\n")
    assert typed("ls", "model", "--config-dir", "own") == 0
    assert "model=bare" in capsys.readouterr().out


def test_a_sentence_is_shown_not_without_end() -> None:
    assert cli.shown("x" * 2000) == "x" * 2000
    long = cli.shown("first" + "x" * 10**6 + "last")
    assert long.startswith("firstx")
    assert long.endswith("xlast")
    assert len(long) < 2100


@pytest.mark.parametrize("command", [name for name, stage in cli.STAGES.items() if stage.goes_on])
def test_a_command_that_can_go_on_is_told_of_signals_before_a_slow_import_and_the_others_are_not(
    command: str, typed: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def composed(command: str, words: Sequence[str]) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr(cli, "composed", composed)
    assert {name for name, stage in cli.STAGES.items() if stage.goes_on} == {"train", "eval", "search"}
    assert typed(command) == 0
    assert "stopping" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_the_handlers_need_no_slow_import() -> None:
    line = "import sys, ctxext.cli; print([name for name in ('torch', 'hydra', 'numpy') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout == "[]\n"


def test_a_second_interrupt_before_anything_is_composed_is_said_in_a_word(
    typed: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def composed(command: str, words: Sequence[str]) -> int:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return 0

    monkeypatch.setattr(cli, "composed", composed)
    assert typed("train") == 1
    assert capsys.readouterr().err.splitlines()[-1] == "ctxext: interrupted"


def test_a_folder_that_another_run_holds_is_refused_before_anything_is_composed(
    typed: Callable[..., int], ran: Ran, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with lock(tmp_path / "a run", print):
        assert typed("train", f"hydra.run.dir='{tmp_path / 'a run'}'") == 2
    assert f"another run holds this folder, process {os.getpid()} on " in capsys.readouterr().err
    assert not ran


def test_a_disk_that_is_full_before_the_run_begins_is_a_failure_and_no_mistake_of_the_user(
    typed: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill_up(errand: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jobs, "run", fill_up)
    assert typed("train", "hydra.run.dir=here") == 1
    said = capsys.readouterr().err
    assert said.startswith("ctxext: here: could not be written (No space left on device), ")
    assert said.count("\n") == 1
