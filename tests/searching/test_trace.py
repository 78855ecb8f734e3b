"""What a search leaves, and how it goes on from there."""

import json
from pathlib import Path

import pytest

from ctxext.searching.evolution import Bounds, Candidate, Generation, Score, evolve
from ctxext.searching.settings import SearchSettings
from ctxext.searching.trace import CANDIDATES, ITERATIONS, Trace

IDENTITY = {"seed": 0}


class Interrupted(Exception):  # noqa: N818 - what is tested
    """The end of a search at some candidate."""


def pursue(folder: Path, start: Candidate, settings: SearchSettings, score: Score, most: int) -> list[Generation]:
    """Search with a trace in `folder`, and end with Interrupted after `most` new scores."""
    trace = Trace.open(folder, IDENTITY)
    trace.begin()
    left = most

    def kept(candidate: Candidate) -> float:
        nonlocal left
        if candidate not in trace.known:
            if left == 0:
                raise Interrupted
            left -= 1
            trace.keep(candidate, score(candidate))
        return trace.known[candidate]

    generations = []
    for generation in evolve([start], Bounds.of(4.0, settings.step), settings, 0, kept):
        trace.end(generation)
        generations.append(generation)
    return generations


def files(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text(encoding="utf-8") for name in (CANDIDATES, ITERATIONS)}


@pytest.mark.parametrize("most", [1, 11, 12, 13, 40])
def test_a_search_that_was_cut_off_anywhere_ends_as_if_it_had_not_been(
    most: int, start: Candidate, settings: SearchSettings, score: Score, tmp_path: Path
) -> None:
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    for folder in (straight, cut):
        folder.mkdir()
    wanted = pursue(straight, start, settings, score, 1000)
    with pytest.raises(Interrupted):
        pursue(cut, start, settings, score, most)
    assert len((cut / CANDIDATES).read_text().splitlines()) == 1 + most
    assert pursue(cut, start, settings, score, 1000) == wanted
    assert files(cut) == files(straight)


def test_a_last_line_that_was_cut_off_is_dropped(
    start: Candidate, settings: SearchSettings, score: Score, tmp_path: Path
) -> None:
    wanted = pursue(tmp_path, start, settings, score, 1000)
    before = files(tmp_path)
    for name, text in before.items():
        (tmp_path / name).write_text(text[:-20], encoding="utf-8")
    assert pursue(tmp_path, start, settings, score, 1) == wanted
    assert files(tmp_path) == before


def test_nothing_is_scored_again(start: Candidate, settings: SearchSettings, score: Score, tmp_path: Path) -> None:
    wanted = pursue(tmp_path, start, settings, score, 1000)
    assert pursue(tmp_path, start, settings, score, 0) == wanted


def test_a_line_of_the_iterations_says_what_was_best(
    start: Candidate, settings: SearchSettings, score: Score, tmp_path: Path
) -> None:
    generations = pursue(tmp_path, start, settings, score, 1000)
    rows = [json.loads(line) for line in (tmp_path / ITERATIONS).read_text().splitlines()]
    assert [row["iteration"] for row in rows] == list(range(13))
    assert list(rows[0]) == ["iteration", "best", "mean", "candidates", "factors", "attention_factor"]
    assert rows[-1]["best"] == score(Candidate(tuple(rows[-1]["factors"]), rows[-1]["attention_factor"]))
    assert rows[-1]["best"] == generations[-1].score


def test_the_trace_tells_whose_it_is(tmp_path: Path) -> None:
    Trace.open(tmp_path, IDENTITY).begin()
    assert Trace.open(tmp_path, {"seed": 1}).identity == IDENTITY
    Trace.forget(tmp_path)
    assert Trace.open(tmp_path, {"seed": 1}).identity == {"seed": 1}
    assert not list(tmp_path.iterdir())
