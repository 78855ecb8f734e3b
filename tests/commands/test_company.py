"""What becomes of the other processes where one is lost, or where all come to the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ctxext.commands import company as module
from ctxext.commands.company import company
from ctxext.parallel.mesh import Mesh
from ctxext.parallel.settings import Parallel
from ctxext.training.soundness import NonFiniteError

GONE = RuntimeError("[../gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1")


@pytest.fixture
def among_two(small, monkeypatch):
    """Return a function that raises an error in the company of process `rank` of two, at the block's end or in it."""

    def fail(error: Exception, rank: int, folder: Path, command: str = "train", *, at_end: bool = False) -> None:
        @contextmanager
        def joining(settings: Parallel, device: str) -> Iterator[Mesh]:
            yield Mesh(settings, rank)
            if at_end:
                raise error

        monkeypatch.setattr(module, "joining", joining)
        monkeypatch.setattr(Mesh, "told", lambda self, tell: tell())
        run = replace(small(), parallel=Parallel(data=2))
        with company(run, folder, command, "cpu"):
            if not at_end:
                raise error

    return fail


@pytest.mark.parametrize("at_end", [False, True])
def test_where_another_is_lost_this_one_ends_with_75_and_says_how_it_goes_on(at_end, among_two, tmp_path, capsys):
    (tmp_path / "checkpoints" / "step-00000003").mkdir(parents=True)
    with pytest.raises(SystemExit) as raised:
        among_two(GONE, 0, tmp_path, at_end=at_end)

    assert raised.value.code == 75
    said = capsys.readouterr().out
    assert "what goes on from the last save: ctxext train" in said
    assert f"hydra.run.dir={tmp_path}" in said


def test_where_nothing_is_saved_it_ends_with_1_and_says_so(among_two, tmp_path, capsys):
    with pytest.raises(SystemExit) as raised:
        among_two(GONE, 0, tmp_path)

    assert raised.value.code == 1
    assert "nothing is saved yet" in capsys.readouterr().out


def test_what_was_scored_is_kept_so_that_an_evaluation_goes_on(among_two, tmp_path):
    with pytest.raises(SystemExit) as raised:
        among_two(GONE, 0, tmp_path, "eval")

    assert raised.value.code == 75


def test_what_all_come_to_the_first_alone_says(among_two, tmp_path, capsys):
    with pytest.raises(NonFiniteError):
        among_two(NonFiniteError("step 3: the loss is nan"), 0, tmp_path)
    with pytest.raises(SystemExit) as raised:
        among_two(NonFiniteError("step 3: the loss is nan"), 1, tmp_path)

    assert raised.value.code == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), FloatingPointError("a score is not finite")])
def test_what_one_alone_comes_to_it_raises_itself(error, among_two, tmp_path):
    with pytest.raises(type(error)):
        among_two(error, 1, tmp_path)
