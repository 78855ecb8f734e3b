"""The model card."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from ctxext.formats.card import card, read_license, write_card

RESULTS: dict[str, Any] = {
    "schema": 1,
    "run": {
        "name": "rope_interp",
        "method": "rope_interp",
        "seed": 7,
        "command": "ctxext train | tee",
        "versions": {"torch": "2.13.0"},
    },
    "lengths": {"trained": 256, "target": 1024, "evaluated": [256, 1024, 2048]},
    "protocol": {"scored_tokens": 64, "perplexity": "exp of the mean nll of the same tokens"},
    "by_length": [
        {"subject": subject, "length": 1024, "nll": nll, "perplexity": 22.25, "tokens": 3840, "low": 3.0, "high": 3.2}
        for subject, nll in (("base", 5.125), ("truncated", 3.375), ("extended", 3.0625))
    ],
    "by_position": [],
    "tasks": [
        {"subject": "extended", "task": "passkey", "length": 1024, "depth": depth, "metric": "accuracy", "value": value}
        | {"chance": 0.1, "n": 40, "low": 0.84, "high": 0.99}
        for depth, value in (("all", 0.9375), (0.5, 0.8125))
    ],
    "effective_length": [{"subject": "extended", "rule": "nll(0.05)", "length": 2048, "at_least": True}],
    "cost": [],
    "export": {"format": "hf", "label": "exact", "max_logit_difference": 1.25e-06, "notes": ["The final factor is 1."]},
    "missing": [{"what": "tasks", "reason": "no document is long enough"}],
}


def head_of(text: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(text.split("---")[1])
    return content


def test_the_card_shows_the_measured_numbers_and_the_control() -> None:
    text = card(RESULTS, "apache-2.0")

    for shown in (
        "5.125",
        "3.375",
        "3.062",
        "22.25",
        "0.9375",
        "at least 2048",
        "1.25e-06",
        "no document is long enough",
    ):
        assert shown in text
    assert "0.8125" not in text
    assert "| truncated | 1024 |" in text
    assert "Label: **exact**" in text
    assert "The final factor is 1." in text
    assert "beyond 2048 tokens" in text


def test_the_card_follows_the_results() -> None:
    changed = copy.deepcopy(RESULTS)
    changed["by_length"][0]["nll"] = 4.75
    text = card(changed, "")
    assert "4.75" in text
    assert "5.125" not in text


def test_the_head_is_yaml_and_invents_no_license() -> None:
    assert head_of(card(RESULTS, "apache-2.0"))["license"] == "apache-2.0"
    assert "license" not in head_of(card(RESULTS, ""))
    assert head_of(card(RESULTS, ""))["tags"] == ["ctxext", "long-context", "rope_interp"]


def test_a_bar_in_a_command_does_not_break_the_table() -> None:
    assert "ctxext train \\| tee" in card(RESULTS, "")


def test_sections_without_numbers_are_left_out() -> None:
    empty = RESULTS | {"by_length": [], "tasks": [], "effective_length": [], "missing": [], "export": {}}
    text = card(empty, "")
    assert "## By length" not in text
    assert "## Tasks" not in text
    assert "## Export" not in text


@pytest.mark.parametrize(
    ("text", "license"),
    [
        ("---\nlanguage: en\nlicense: apache-2.0\n---\n# A base", "apache-2.0"),
        ("---\nlicense: 'mit'\n---\n", "mit"),
        ("---\nlanguage: en\n---\nlicense: mit", ""),
        ("license: mit", ""),
    ],
)
def test_the_license_is_the_one_of_the_base(tmp_path: Path, text: str, license: str) -> None:
    (tmp_path / "README.md").write_text(text)
    assert read_license(tmp_path) == license


def test_the_card_stands_in_the_folder(tmp_path: Path) -> None:
    write_card(tmp_path, RESULTS, None)
    assert (tmp_path / "README.md").read_text() == card(RESULTS, "")
