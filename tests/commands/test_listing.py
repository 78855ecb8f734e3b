"""What can be composed, listed."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ctxext.commands.listing import Option, as_json, as_text, cited, listed
from ctxext.config.folders import GROUPS, including, options
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
    assert methods["rope_interp"].trained == "training-free"
    assert methods["pose"].trained == methods["longlora"].trained == "fine-tuned"
    assert methods["learned_interp"].trained == "training-free"
    assert methods["lstm"].export.startswith("not exportable")
    assert all(option.trained and option.export for option in methods.values())


@pytest.mark.parametrize(("group", "least"), [("position", 24), ("mask", 11), ("attention", 14)])
def test_the_catalogue_is_as_wide_as_it_says(group: str, least: int) -> None:
    assert len(json.loads(as_json(group))) >= least


def test_the_table_says_how_an_option_is_trained_where_it_is_neutral_and_where_it_exports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    lines = as_text("position").splitlines()
    assert re.split(" {2,}", lines[0]) == ["option", "trained", "exports to", "neutral at"]
    row = next(index for index, line in enumerate(lines) if line.startswith("position=yarn "))
    assert re.split(" {2,}", lines[row]) == ["position=yarn", "training-free", "hf llama yarn", "factor 1"]
    assert " ".join(lines[row + 1 : row + 3]).split("(Peng et al. ")[0].startswith("    YaRN: slow pairs")


def test_no_line_of_the_table_is_wider_than_120() -> None:
    assert max(map(len, as_text("").splitlines())) <= 120


def test_what_has_no_paper_names_who_said_it_or_nobody() -> None:
    option = Option("position", "a", "line", "none", "", "", "")
    assert cited(option) == ""
    assert cited(replace(option, paper="none (bloc97, 2023)")) == " (bloc97, 2023, no paper)"
    assert cited(replace(option, paper="Su et al. 2021, 2104.09864")) == " (Su et al. 2021, 2104.09864)"


def test_options_in_a_folder_of_ones_own_are_listed_where_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "mask").mkdir()
    (tmp_path / "mask" / "mine.yaml").write_text("# Mine.\n_target_: mine.Mask\n", encoding="utf-8")
    assert "mask=mine" not in as_text("mask")
    with including(tmp_path):
        assert "mask=mine" in as_text("mask")
    assert "mask=mine" not in as_text("mask")


def test_a_method_is_listed_as_it_is_typed() -> None:
    assert "\n+method=yarn " in as_text("method")
    assert "\nposition=yarn " in as_text("position")


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(Refusal, match="did you mean 'method'"):
        listed("metod")
