"""What can be composed, listed."""

import json

import pytest

from ctxext.commands.listing import as_json, as_text, listed
from ctxext.config.folders import GROUPS, options
from ctxext.refusal import Refusal


def test_every_option_of_every_group_has_a_line() -> None:
    assert [(option.group, option.name) for option in listed("")] == [
        (group, name) for group in GROUPS for name in options(group)
    ]
    assert all(option.line for option in listed(""))


def test_the_json_holds_the_keys_that_scripts_rely_on() -> None:
    (yarn,) = [option for option in json.loads(as_json("position")) if option["name"] == "yarn"]
    assert list(yarn) == ["group", "name", "line", "paper", "trained", "neutral", "export"]
    assert yarn["paper"] == "Peng et al. 2023, 2309.00071"
    assert (yarn["trained"], yarn["neutral"], yarn["export"]) == ("training-free", "factor 1", "hf llama yarn")


def test_a_method_is_what_its_members_are() -> None:
    methods = {option.name: option for option in listed("method")}
    assert methods["yarn"].export == "hf llama yarn"
    assert methods["streaming_llm"].neutral == "window >= length"
    assert methods["alibi"].trained == "from scratch"
    assert methods["lstm"].export.startswith("not exportable")
    assert all(option.trained and option.export for option in methods.values())


def test_a_method_is_listed_as_it_is_typed() -> None:
    assert "\n+method=yarn " in as_text("method")
    assert "\nposition=yarn " in as_text("position")


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(Refusal, match="did you mean 'method'"):
        listed("metod")
