"""The mesh of a run: what is refused, and what is said."""

import pytest

from ctxext.parallel.settings import Parallel
from ctxext.refusal import Refusal


def test_by_default_a_run_is_one_process():
    Parallel().check(1)
    assert (Parallel().size, Parallel(2, 3, 4).size, Parallel(2, 3, 4).replicas) == (1, 24, 6)


@pytest.mark.parametrize(
    ("mesh", "started", "said"),
    [
        (Parallel(data=2), 1, r"parallel.data=2 .* make 2 processes, got 1; .*torchrun --nproc-per-node 2"),
        (Parallel(), 2, r"parallel.data=1 .* make 1 processes, got 2; .* parallel.data=2"),
        (Parallel(data=2, context=2), 2, r"make 4 processes, got 2"),
    ],
)
def test_a_mesh_of_another_number_of_processes_is_refused(mesh, started, said):
    with pytest.raises(Refusal, match=said):
        mesh.check(started)


@pytest.mark.parametrize("name", ["data", "shard", "context"])
def test_less_than_one_process_is_refused(name):
    with pytest.raises(Refusal, match=rf"parallel.{name} must be at least 1 process, got 0"):
        Parallel(**{name: 0})


@pytest.mark.parametrize(
    ("mesh", "rows", "length", "said"),
    [
        (Parallel(data=2), 3, 16, r"trainer.batch_tokens=48 holds 3 rows of 16 tokens, .* a multiple of 32 tokens"),
        (Parallel(context=2), 2, 18, r"rows of 18 tokens .* 4 pieces of parallel.context=2; .* multiple of 4"),
    ],
)
def test_shares_that_would_be_uneven_are_refused(mesh, rows, length, said):
    with pytest.raises(Refusal, match=said):
        mesh.check_shares(rows, length, "trainer.batch_tokens=48")


def test_even_shares_are_not():
    Parallel(data=2, shard=2, context=2).check_shares(8, 16, "")
    Parallel(data=2).check_shares(2, 15, "")
