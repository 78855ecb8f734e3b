"""The words of a command line, made fit for Hydra."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from ctxext.commands.words import completed, folder_in, for_hydra, own_folder, quoted, with_method
from ctxext.config.schema import Run
from ctxext.refusal import Refusal

AWKWARD = [
    "a,b(1).txt",
    "it's here.txt",
    "a=b.txt",
    "a b",
    "12",
    "null",
    "c:\\new\\",
    "x'\\",
    "\\'",
    "''a",
    "{a}",
    "!x",
    "~/a",
    'a"b',
]


@pytest.mark.parametrize("key", ["dataset.path", "base.path", "run", "+run", "++dataset.path", "hydra.run.dir"])
def test_only_paths_are_quoted(key: str) -> None:
    assert quoted(f"{key}=a", is_sweep=False) == f"{key}='a'"
    assert quoted(f"trainer.{key}=a", is_sweep=False) == f"trainer.{key}=a"


@pytest.mark.parametrize("path", [path for path in AWKWARD if path[0] != "'"])
def test_hydra_reads_an_awkward_path_as_it_was_typed(path: str) -> None:
    (override,) = OverridesParser.create().parse_overrides([quoted(f"run={path}", is_sweep=False)])
    assert override.value() == path
    assert isinstance(override.value(), str)


TEXTS = [
    *AWKWARD,
    "${seed}",
    "\\${",
    "a\\\n",
    "Once, (upon) a = 'time\n${x",
    "[a,b]",
    "'a'",
    "é\t🙂",
    "-",
    "+x=1",
    "a: b # c",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_prompt_is_read_as_it_was_typed_whatever_it_holds(text: str, built: Callable[..., Run]) -> None:
    assert built(quoted(f"prompt={text}", is_sweep=False)).prompt == text


@pytest.mark.parametrize("template", ["{input}", "to {group}: {input}", 'Say, "{input}" = (x)\n', "'{input}'"])
def test_the_prompt_of_a_dataset_is_read_as_it_was_typed(template: str, built: Callable[..., Run]) -> None:
    words = [quoted(word, is_sweep=False) for word in ("dataset=translation", f"dataset.prompt={template}")]
    assert built(*words).dataset.prompt == template


def test_commas_separate_the_prompts_of_a_sweep_and_quotes_keep_them() -> None:
    assert quoted("prompt=a (b)", is_sweep=True) == "prompt='a (b)'"
    assert quoted("prompt='a, b','c'", is_sweep=True) == "prompt='a, b','c'"


@pytest.mark.parametrize("value", ["", "'a,b'", '"a,b"', "[a,b]", "${base.path}/x"])
def test_what_is_written_for_hydra_stays_as_it_is(value: str) -> None:
    assert quoted(f"run={value}", is_sweep=False) == f"run={value}"


def test_commas_separate_the_jobs_of_a_sweep() -> None:
    assert for_hydra(["run=a,b"]) == ["run='a,b'"]
    assert for_hydra(["run=a,b", "-m"]) == ["run=a,b", "-m"]
    assert for_hydra(["run=a b", "--multirun"]) == ["run='a b'", "--multirun"]


def test_overrides_come_before_flags_with_their_words() -> None:
    words = ["-m", "seed=1", "--config-dir", "mine=a", "seed=2", "--cfg", "job"]
    assert for_hydra(words) == ["seed=1", "seed=2", "-m", "--config-dir", "mine=a", "--cfg", "job"]


@pytest.mark.parametrize("words", [["--experimental-rerun", "x.pickle"], ["--experimental-rerun=x"], ["--exp=x"]])
def test_nothing_is_loaded_from_a_pickle(words: list[str]) -> None:
    with pytest.raises(Refusal, match="pickle"):
        for_hydra(words)


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        ("ctxext", ["train", "ls"]),
        ("ctxext l", ["ls"]),
        ("ctxext train", ["train"]),
        ("ctxext train ", "ctxext "),
        ("ctxext train seed=1 po", "ctxext seed=1 po"),
    ],
)
def test_the_command_is_completed_here_and_the_rest_by_hydra(line: str, rest: list[str] | str) -> None:
    assert completed(line, ["train", "ls"]) == rest


@pytest.mark.parametrize("word", ["+method=yarn", "position=rope", "++position=yarn", "+position=yarn"])
def test_a_typed_method_or_position_is_taken_as_it_is(word: str) -> None:
    assert with_method(["seed=1", word], "longrope") == ["seed=1", word]


def test_without_one_the_commands_own_method_is_taken_if_it_has_one() -> None:
    assert with_method(["position.factor=2"], "longrope") == ["+method=longrope", "position.factor=2"]
    assert with_method(["position.factor=2"], "") == ["position.factor=2"]


@pytest.mark.parametrize("flag", [["--config-dir", "my options"], ["--config-dir=my options"], ["-cd", "my options"]])
def test_the_folder_of_ones_own_options_is_read_from_the_flag_alone(flag: list[str]) -> None:
    assert own_folder(for_hydra([*flag, "+method=mine"])) == Path("my options")
    assert own_folder(for_hydra(["+method=mine", "hydra.searchpath=[file://elsewhere]"])) is None


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        (["hydra.run.dir=a", "seed=1"], "a"),
        (["hydra.run.dir='a b'"], "a b"),
        (["hydra.run.dir=a", "hydra.run.dir=b=c"], "b=c"),
        (["seed=1"], "outputs"),
    ],
)
def test_the_folder_of_a_run_is_the_last_that_is_typed(words: list[str], folder: str) -> None:
    assert folder_in(words) == Path(folder)
