"""What a run may go on from."""

from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import tokenizers
import torch

import ctxext
from ctxext.refusal import Refusal
from ctxext.training.drift import check_identity, moved, surroundings, versions

SAVED = {"seed": 1, "data": "d", "position": "Rope()"}


def test_what_differs_is_refused_by_key_old_and_new_with_the_words_that_allow_it() -> None:
    said: list[str] = []
    with pytest.raises(Refusal) as raised:
        check_identity(SAVED, {"seed": 2, "data": "d", "mask": "M()"}, "step", say=said.append)

    sentence = str(raised.value)
    assert "step: can't go on from it, since mask was None and is 'M()', position was 'Rope()' and is None" in sentence
    assert "seed was 1 and is 2" in sentence
    assert "trainer.resume_allow=[mask,position,seed]" in sentence
    assert [line.split() for line in said] == [
        ["key", "old", "new"],
        ["mask", "-", "M()", "refused"],
        ["position", "Rope()", "-", "refused"],
        ["seed", "1", "2", "refused"],
    ]
    assert len({line.index("  refused") for line in said[1:]}) == 1


def test_what_is_named_may_differ_and_is_shown() -> None:
    said: list[str] = []
    check_identity(SAVED, SAVED | {"seed": 2}, "step", ["seed", "data"], said.append)

    assert said[1].split() == ["seed", "1", "2", "allowed"]
    with pytest.raises(Refusal, match=r"since data was 'd' and is 'e'; .*resume_allow=\[data\]"):
        check_identity(SAVED, SAVED | {"seed": 2, "data": "e"}, "step", ["seed"])


def test_nothing_is_shown_where_nothing_differs() -> None:
    check_identity(SAVED, dict(SAVED), "step", say=pytest.fail)


def test_a_name_that_nothing_bears_is_refused_with_the_nearest() -> None:
    with pytest.raises(Refusal, match="nothing is called 'positon'; did you mean 'position'"):
        check_identity(SAVED, SAVED, "step", ["positon"])


def test_other_surroundings_are_told_and_the_same_are_not() -> None:
    settings: Any = SimpleNamespace(compile=False)
    here = surroundings(torch.device("cpu"), settings)

    assert here.keys() == {"trainer.compile", "threads", "device", "processor", "mesh"}
    assert moved(here, here) == ""
    assert moved({}, here) == "", "an earlier checkpoint says nothing of them"
    told = moved(here | {"trainer.compile": True, "threads": 64}, here)
    assert "trainer.compile was True and is False, threads was 64 and is " in told
    assert "may differ in its last bits" in told


def test_the_versions_that_numbers_depend_on_are_part_of_what_is_compared() -> None:
    modules = (ctxext, numpy, tokenizers, torch)
    assert versions() == {f"versions.{module.__name__}": module.__version__ for module in modules}

    older = versions() | {"versions.numpy": "1.0"}
    with pytest.raises(Refusal, match=r"versions.numpy was '1.0' and is .*resume_allow=\[versions.numpy\]"):
        check_identity(older, versions(), "step")
    check_identity(older, versions(), "step", ["versions.numpy"])
