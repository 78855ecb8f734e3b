"""Typed values of JSON files: each of another type or out of range is refused by its full name."""

from pathlib import Path
from typing import Any

import pytest

from ctxext.formats.huggingface.reading.keys import Keys, made
from ctxext.refusal import Refusal, require

CONTENT = {
    "size": 3,
    "share": 0.5,
    "tied": False,
    "names": ["a"],
    "theta": [1, 2.5],
    "rope": {"factor": 2},
    "none": None,
}


def keys(**changes: Any) -> Keys:
    return Keys(Path("config.json"), CONTENT | changes)


def test_values_come_back_in_their_types() -> None:
    found = keys()
    assert (found.whole("size"), found.number("size"), found.number("share")) == (3, 3.0, 0.5)
    assert found.flag("tied") is False
    assert (found.items("names"), found.numbers("theta")) == (["a"], (1.0, 2.5))
    assert found.inside("rope").number("factor") == 2.0
    assert not found.inside("none").content
    assert (found.has("tied"), found.has("none"), found.has("absent")) == (True, False, False)


@pytest.mark.parametrize(
    ("read", "sentence"),
    [
        (lambda found: found.whole("share"), "config.json: share must be a whole number from 1 to 2147483647, got 0.5"),
        (lambda found: found.whole("tied"), "config.json: tied must be a whole number"),
        (lambda found: found.whole("size", most=2), "config.json: size must be a whole number from 1 to 2, got 3"),
        (lambda found: found.whole("size", least=4), "from 4 to"),
        (lambda found: found.whole("absent"), "config.json: absent is missing; it must be a whole number"),
        (lambda found: found.number("tied"), "config.json: tied must be a number above 0, got False"),
        (lambda found: found.number("names"), "config.json: names must be a number above 0, got ['a']"),
        (lambda found: found.flag("size"), "config.json: size must be true or false, got 3"),
        (lambda found: found.items("size"), "config.json: size must be a list, got 3"),
        (lambda found: found.numbers("names"), "config.json: names must be a number above 0, got 'a'"),
        (lambda found: found.inside("size"), "config.json: size must be an object, got 3"),
        (
            lambda found: found.inside("rope").whole("size"),
            "config.json: rope.size is missing; it must be a whole number",
        ),
    ],
)
def test_other_values_are_refused_by_name(read: Any, sentence: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(keys())
    assert sentence in str(caught.value)


def test_what_a_member_refuses_is_said_of_the_file() -> None:
    inside = keys().inside("rope")
    with pytest.raises(Refusal) as caught:
        made(inside, "position", lambda: require(False, "position.factor must be at least position.other"))
    assert str(caught.value) == "config.json: rope.factor must be at least rope.other"
    with pytest.raises(Refusal) as caught:
        made(inside, "position", lambda: inside.whole("size"))
    assert str(caught.value).count("config.json") == 1
    assert made(inside, "position", lambda: 7) == 7
