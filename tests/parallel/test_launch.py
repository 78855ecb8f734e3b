"""What torchrun's variables say, and that nothing is read into the half of them."""

import pytest

from ctxext.parallel.launch import follows, launched, local_rank, local_size

TOLD = {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.fixture
def nobody(monkeypatch):
    for name in (*TOLD, "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def test_where_nobody_started_several_there_is_one(nobody):
    assert (launched(), follows(), local_rank(), local_size()) == ((0, 1), False, 0, 1)


def test_torchrun_tells_which_process_this_is(nobody, monkeypatch):
    for name, value in (TOLD | {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}).items():
        monkeypatch.setenv(name, value)

    assert (launched(), follows(), local_rank(), local_size()) == ((1, 4), True, 1, 2)


def test_a_cluster_that_sets_a_rank_alone_has_started_nothing_of_ours(nobody, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")

    assert launched() == (0, 1)
