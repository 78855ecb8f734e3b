from collections.abc import Callable
from pathlib import Path

from ctxext.evaluation.comparison.arms import arms_of
from ctxext.evaluation.comparison.ranking import Ranking, decisive, ranking
from ctxext.evaluation.comparison.reading import read

RunIn = Callable[..., Path]


def test_the_common_target_decides_or_else_the_longest_length() -> None:
    assert decisive([512, 512], {256, 512, 1024}) == 512
    assert decisive([512, 1024], {256, 512, 1024}) == 1024
    assert decisive([4096, 4096], {256, 512}) == 512


def test_the_best_has_the_least_loss_or_the_highest_score() -> None:
    assert Ranking("nll", 512, {"A": 3.0, "B": 2.0}).labels == ["B", "A"]
    assert Ranking("passkey", 512, {"A": 0.3, "B": 0.2}).labels == ["A", "B"]
    assert Ranking().labels == []


def test_the_length_that_most_runs_have_decides(run_in: RunIn) -> None:
    lengths = [(256, 1024), (256,), (256, 512)]
    paths = [
        run_in(name, {"extended": {length: [3.0] for length in some}})
        for name, some in zip("abc", lengths, strict=True)
    ]
    found = ranking(arms_of(read(paths)[0]))
    assert (found.measure, found.length, sorted(found.values)) == ("nll", 256, ["A", "B", "C"])


def test_runs_that_share_nothing_have_no_rank(run_in: RunIn) -> None:
    paths = [run_in("a", {"extended": {256: [3.0]}}), run_in("b", {"extended": {512: [3.0]}})]
    assert ranking(arms_of(read(paths)[0])) == Ranking()
