"""The model card."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from ctxext.formats.card import card, read_origin, write_card

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
    "export": {
        "format": "hf",
        "label": "exact",
        "max_logit_difference": 1.25e-06,
        "max_logit": 21.5,
        "reader": "transformers 5.0.0",
        "positions": [[0, 256], [0, 512], [768, 1024]],
        "notes": ["The final factor is 1."],
        "folder": "/home/me/my runs/export/hf",
        "serve": [f"{words} '/home/me/my runs/export/hf' --x" for words in ("transformers serve", "vllm serve")],
    },
    "missing": [{"what": "tasks", "reason": "no document is long enough"}],
}


def head_of(text: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(text.split("---")[1])
    return content


def test_the_card_shows_the_measured_numbers_and_the_control() -> None:
    text = card(licensed("apache-2.0"))

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
    assert "Label of the hf files: **exact**" in text
    assert "The final factor is 1." in text
    assert "beyond 2048 tokens" in text


def test_the_card_follows_the_results() -> None:
    changed = copy.deepcopy(RESULTS)
    changed["by_length"][0]["nll"] = 4.75
    text = card(changed)
    assert "4.75" in text
    assert "5.125" not in text


def licensed(license: str) -> dict[str, Any]:
    return RESULTS | {"run": RESULTS["run"] | {"origin": {"license": license}}}


def test_the_head_is_yaml_and_invents_no_license() -> None:
    assert head_of(card(licensed("apache-2.0")))["license"] == "apache-2.0"
    assert "license" not in head_of(card(RESULTS))
    assert head_of(card(RESULTS))["tags"] == ["ctxext", "long-context", "rope_interp"]


def test_the_card_says_what_was_compared_and_how_the_model_is_served() -> None:
    text = card(RESULTS)
    assert "1.25e-06, of logits up to 21.5." in text
    assert "transformers 5.0.0 was compared at random tokens at the positions 0 to 256, 0 to 512, 768 to 1024" in text
    assert "```bash\ntransformers serve . --x\nvllm serve . --x\n```" in text
    assert "/home/me" not in text
    assert "vLLM and llama.cpp were not" in text


def test_the_head_says_where_the_weights_come_from_as_far_as_the_run_knows() -> None:
    origin = {"license": "mit", "base_model": "org/small-1", "datasets": ["org/texts"], "language": ["en", "de"]}
    known = head_of(card(RESULTS | {"run": RESULTS["run"] | {"origin": origin}}))
    assert {key: known[key] for key in origin} == origin
    of_hub = head_of(card(RESULTS | {"run": RESULTS["run"] | {"base": "org/other"}}))
    assert of_hub["base_model"] == "org/other"
    for path in ("pkg://tiny", "/home/me/model", "./org/other", "none"):
        assert "base_model" not in head_of(card(RESULTS | {"run": RESULTS["run"] | {"base": path}}))


def test_the_origin_of_a_base_is_read_from_its_own_files(tmp_path: Path) -> None:
    assert read_origin(tmp_path) == {}
    (tmp_path / "README.md").write_text("---\nlanguage: en\ndatasets:\n- org/texts\n- 5\nlicense: mit\n---\n# A base")
    (tmp_path / "config.json").write_text('{"_name_or_path": "org/small-1"}')
    found = {"license": "mit", "base_model": "org/small-1", "datasets": ["org/texts"], "language": ["en"]}
    assert read_origin(tmp_path) == found
    (tmp_path / "README.md").write_text("---\nlanguage: [en\n---\n")
    (tmp_path / "config.json").write_text('{"_name_or_path": "/fsx/someone/checkpoints"}')
    assert read_origin(tmp_path) == {}


def test_a_bar_in_a_command_does_not_break_the_table() -> None:
    assert "ctxext train \\| tee" in card(RESULTS)


def test_sections_without_numbers_are_left_out() -> None:
    empty = RESULTS | {"by_length": [], "tasks": [], "effective_length": [], "missing": [], "export": {}}
    text = card(empty)
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
    assert read_origin(tmp_path).get("license", "") == license


def test_the_card_stands_in_the_folder(tmp_path: Path) -> None:
    write_card(tmp_path, RESULTS)
    assert (tmp_path / "README.md").read_text() == card(RESULTS)


@pytest.mark.parametrize("head", ["license: &a mit\nlanguage: [*a, *a]", "license: mit\nn: " + "1" * 5000, "[" * 99])
def test_a_head_that_may_grow_without_end_says_nothing(tmp_path: Path, head: str) -> None:
    (tmp_path / "README.md").write_text(f"---\n{head}\n---\n# A base")
    assert read_origin(tmp_path) == {}
