"""`ctxext search`, on a network of a few thousand weights."""

import dataclasses
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.commands import search as command
from ctxext.commands.search import Quest, objective_of, search, using
from ctxext.config.folders import including
from ctxext.config.schema import Run
from ctxext.data.material import CorpusMaterial
from ctxext.data.prepare import Prepared
from ctxext.data.tokenizer import load_tokenizer
from ctxext.evaluation.ground import Samples
from ctxext.position.longrope import LongRope
from ctxext.refusal import Refusal
from ctxext.searching.trace import Trace

SHORT = """
    +method=longrope search.objective=both search.documents=2 search.scored_tokens=16 search.prompts=2
    search.population=4 search.parents=3 search.iterations=2 search.mutations=2 search.crossovers=1
    dataset.validation_share=0.1
""".split()  # noqa: SIM905
FILES = ("candidates.jsonl", "search.jsonl", "position/longrope_found.yaml", "method/longrope_found.yaml")
Tiny = Callable[..., Run]


def left(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text(encoding="utf-8") for name in FILES}


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("objective", "columns"),
    [("both", "nll of text +nll of lookup"), ("text", "nll of text"), ("lookup", "nll of lookup")],
)
def test_it_leaves_an_option_that_is_no_worse_than_yarn_by_its_objective(
    objective: str, columns: str, tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny(*SHORT, f"search.objective={objective}")
    search(run, tmp_path / "run")
    said = capsys.readouterr().out
    iterations, scored = rows(tmp_path / "run", "search.jsonl"), rows(tmp_path / "run", "candidates.jsonl")[1:]

    assert [row["iteration"] for row in iterations] == [0, 1, 2]
    assert iterations[-1]["best"] == min(row["score"] for row in scored) <= scored[0]["score"]
    assert 4 < len(scored) == iterations[-1]["candidates"] <= 4 + 2 * 3
    assert re.search(rf"^validation +{columns} +attention_factor +long_factor\nyarn +.*\nfound +", said, re.MULTILINE)
    assert f"ctxext train +method=longrope_found --config-dir {tmp_path / 'run'}" in said


def test_the_option_builds_the_position_that_was_best(tiny: Tiny, tmp_path: Path) -> None:
    search(tiny(*SHORT), tmp_path / "run")
    best = rows(tmp_path / "run", "search.jsonl")[-1]
    with including(tmp_path / "run"):
        run = tiny("position=longrope_found", f"hydra.searchpath=[file://{tmp_path / 'run'}]")

    assert isinstance(run.position, LongRope)
    assert run.position.long_factor == tuple(best["factors"])
    assert run.position.short_factor == (1.0,) * 8
    assert (run.position.attention_factor, run.position.factor) == (best["attention_factor"], 2.0)


def test_the_test_split_is_never_looked_at(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = command.prepared

    def without_test(*arguments: Any) -> Prepared:
        return dataclasses.replace(prepared(*arguments), test=None)

    monkeypatch.setattr(command, "prepared", without_test)
    search(tiny(*SHORT), tmp_path / "run")
    assert (tmp_path / "run" / "position" / "longrope_found.yaml").is_file()


def test_the_prompts_are_none_that_an_evaluation_asks(tiny: Tiny, tmp_path: Path, finished: Any) -> None:
    run = tiny(*SHORT, "search.prompts=20", "evaluation.samples=40")
    tokenizer = load_tokenizer(finished.folder / "tokenizer.json")

    data = command.prepared(run, command.Journal(tmp_path, "a"))
    prompts = objective_of(run, dataclasses.replace(data, tokenizer=tokenizer)).prompts
    settings = dataclasses.replace(run.evaluation, lengths=[64], scored_tokens=8)
    asked = Samples("passkey", settings, CorpusMaterial(data.validation, tokenizer))
    assert len(prompts) == 20
    assert not [sample for sample in prompts if sample.tokens in [other.tokens for other in asked[64]]]


@pytest.mark.parametrize("most", [1, 5, 8])
def test_an_interrupted_search_ends_with_75_and_goes_on_to_the_same_end(
    most: int, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny(*SHORT)
    search(run, tmp_path / "straight")
    keep = Trace.keep

    def keep_and_signal(trace: Trace, *scored: Any) -> None:
        keep(trace, *scored)
        if len(trace.known) == most:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Trace, "keep", keep_and_signal)
    capsys.readouterr()
    with pytest.raises(SystemExit) as raised:
        search(run, tmp_path / "cut")
    monkeypatch.undo()

    assert raised.value.code == 75
    assert f"ctxext search hydra.run.dir={tmp_path / 'cut'}" in capsys.readouterr().out
    assert not (tmp_path / "cut" / "position").exists()
    search(run, tmp_path / "cut")
    assert f"going on: {most} candidates were scored before" in capsys.readouterr().out
    assert left(tmp_path / "cut") == left(tmp_path / "straight")


def test_other_settings_in_a_folder_are_refused_unless_it_starts_anew(tiny: Tiny, tmp_path: Path) -> None:
    search(tiny(*SHORT), tmp_path / "run")
    with pytest.raises(Refusal, match=r"search\.prompts was 2 and is 3; use another hydra\.run\.dir"):
        search(tiny(*SHORT, "search.prompts=3"), tmp_path / "run")

    search(tiny(*SHORT, "search.prompts=3", "trainer.resume=never"), tmp_path / "run")
    assert rows(tmp_path / "run", "candidates.jsonl")[0]["identity"]["search.prompts"] == 3


def test_more_iterations_go_on_from_the_last(tiny: Tiny, tmp_path: Path) -> None:
    search(tiny(*SHORT), tmp_path / "run")
    first = left(tmp_path / "run")
    search(tiny(*SHORT, "search.iterations=3"), tmp_path / "run")
    second = left(tmp_path / "run")
    assert second["search.jsonl"].startswith(first["search.jsonl"])
    assert second["candidates.jsonl"].startswith(first["candidates.jsonl"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["context_length=32"], "context_length=32 must be above base.trained_length=32"),
        (["position.factor=1"], "position.factor above 1, got 1"),
        (["position=yarn"], "search finds the factors of position=longrope, and position=yarn has none to find"),
        (["search.scored_tokens=64"], "search.scored_tokens must be below context_length=64, got 64"),
        (["position.long_factor=[2,1,1,1,1,1,1,1]"], "position.long_factor must rise, from at least 1 to at most 4"),
        (["position.long_factor=[1,1,1,1,1,1,1,5]"], "position.long_factor must rise, from at least 1 to at most 4"),
        (["dataset.words=20"], "context_length needs documents held out of 64 tokens or more"),
    ],
)
def test_a_search_that_could_find_nothing_is_refused(
    words: list[str], sentence: str, tiny: Tiny, tmp_path: Path
) -> None:
    short = [word for word in SHORT if words != ["position=yarn"] or word != "+method=longrope"]
    with pytest.raises(Refusal) as raised:
        search(tiny(*short, *words), tmp_path / "run")
    assert sentence in str(raised.value)
    assert not (tmp_path / "cache" / "bases").exists(), "nothing was trained for it"


def test_it_starts_from_yarn_and_from_what_was_typed(tiny: Tiny) -> None:
    typed = [1.0, 1.0, 1.0, 1.5, 2.0, 2.0, 2.5, 3.0]
    run = tiny(*SHORT, f"position.long_factor={typed}", "position.attention_factor=1.2")
    quest = Quest(run, None, objective=None)  # type: ignore[arg-type]
    yarn = tiny("+method=yarn").position

    assert (quest.typed.factors, quest.typed.attention_factor) == (tuple(typed), 1.2)
    assert quest.yarn.attention_factor == yarn.attention_factor
    wanted = LongRope(10000.0, 2.0, 32, (1.0,) * 8, quest.yarn.factors, 1.0).frequencies(16)
    assert wanted.allclose(yarn.frequencies(16), rtol=1e-6)


def test_the_command_that_uses_what_was_found_keeps_what_else_was_typed() -> None:
    words = ["+method=longrope", "base=none", "search.step=0.1", "dataset.path='a b'", "name=x", "++seed=3"]
    line = using([*words, "position.factor=3", "hydra.run.dir=here"], Path("out"))
    kept = "base=none 'dataset.path='\"'\"'a b'\"'\"'' ++seed=3"
    assert line == f"ctxext train +method=longrope_found {kept} --config-dir out"
