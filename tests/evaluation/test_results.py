import copy
import json
import math
import re
from pathlib import Path

import pytest

from ctxext.evaluation.results import Results
from ctxext.refusal import Refusal

CONTENT = {
    "schema": 1,
    "run": {"name": "rope_interp", "method": "rope_interp", "seed": 0, "command": "c", "versions": {}, "data": {}},
    "lengths": {"trained": 256, "target": 1024, "evaluated": [256, 1024]},
    "protocol": {"perplexity": "p", "scored_tokens": 64, "documents": 60, "interval": "i"},
    "by_length": [
        {"subject": "extended", "length": length, "nll": 3.0, "perplexity": math.exp(3.0), "accuracy": 0.4}
        | {"tokens": 3840, "low": 2.9, "high": 3.1, "minus_base": -2.0}
        for length in (1024, 256)
    ],
    "by_position": [{"subject": "base", "low_position": 0, "high_position": 256, "nll": 3.1, "tokens": 9000}],
    "tasks": [
        {"subject": "extended", "task": "passkey", "length": 1024, "depth": depth, "metric": "accuracy", "value": 0.95}
        | {"chance": 0.1, "n": 40, "low": 0.84, "high": 0.99}
        for depth in (0.5, "all")
    ],
    "effective_length": [{"subject": "extended", "rule": "nll(0.05)", "length": 1024, "at_least": False}],
    "cost": [{"subject": "extended", "length": 1024, "ms_per_token": 0.2}],
    "export": {"format": "hf", "label": "exact", "max_logit_difference": 1e-6},
    "missing": [{"subject": "base", "what": "passkey", "length": 1024, "reason": "out of memory"}],
    "language": [{"subject": "base", "measure": "longppl", "length": 1024, "value": 12.0}],
    "applications": [
        {"subject": "base", "application": "translation", "group": "a-b", "metric": "chrF", "length": 128}
        | {"value": 40.0, "n": 60}
    ],
}
LATER = {"language": [], "applications": []}
"""The sections that files of earlier versions have not."""


def content():
    return copy.deepcopy(CONTENT)


def test_what_is_saved_is_loaded_again_and_the_file_has_the_contract_s_keys(tmp_path):
    results = Results(**content())
    results.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == results
    assert json.loads((tmp_path / "results.json").read_text()) == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_file_of_an_earlier_version_is_read_as_one_without_what_came_later(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({key: CONTENT[key] for key in CONTENT if key not in LATER}))

    assert Results.load(tmp_path / "results.json") == Results(**content() | LATER)


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "docs" / "results").glob("*.json")))
def test_every_committed_result_of_an_earlier_version_is_read(path):
    results = Results.load(path)
    assert results.by_length
    assert (results.language, results.applications) == ([], [])


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "results.json"
    results = Results(**content())
    results.save(path)
    before = path.read_bytes()
    results.run["extra"] = math.nan
    with pytest.raises(ValueError, match="Out of range float"):
        results.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("by_length", "nll", math.nan, "by_length[0].nll must be a finite number"),
        ("by_length", "perplexity", math.inf, "by_length[0].perplexity must be a finite number"),
        ("by_length", "accuracy", -1, "by_length[0].accuracy must be at least 0, got -1"),
        ("by_length", "tokens", 0, "by_length[0].tokens must be above 0"),
        ("by_length", "nll", "3.1", "by_length[0].nll must be a number, got '3.1'"),
        ("by_length", "nll", None, "by_length[0].nll must be a number, got None"),
        ("by_length", "subject", "extendd", "must be one of base, truncated, zero_shot, extended, got 'extendd'"),
        ("by_length", "low", 3.5, "by_length[0].low 3.5 must not be above .high 3.1"),
        ("by_length", "length", 256, "by_length[1] repeats the row of ('extended', 256)"),
        ("tasks", "n", 0, "tasks[0].n must be above 0"),
        ("effective_length", "length", 0, "effective_length[0].length must be above 0"),
        ("cost", "peak_bytes", -1, "cost[0].peak_bytes must be at least 0"),
    ],
)
def test_an_impossible_value_is_refused_with_its_place(section, key, value, words):
    broken = content()
    broken[section][0][key] = value
    with pytest.raises(Refusal, match=re.escape(words)):
        Results(**broken)


def test_a_difference_may_be_negative():
    assert Results(**content()).by_length[0]["minus_base"] == -2.0


@pytest.mark.parametrize(
    "section", ["by_length", "by_position", "tasks", "language", "applications", "effective_length", "cost", "missing"]
)
def test_each_required_key_of_each_section_is_missed(section):
    from ctxext.evaluation.results import IDENTITY, VALUES

    for key in IDENTITY[section] + VALUES.get(section, ()):
        broken = content()
        del broken[section][0][key]
        with pytest.raises(Refusal, match=rf"{section}\[0\] lacks the key '{key}'"):
            Results(**broken)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "must be a JSON object"),
        (json.dumps({key: value for key, value in CONTENT.items() if key != "cost"}), "lacks the key 'cost'"),
        (json.dumps(CONTENT | {"schema": 2}), "schema must be 1, got 2"),
        (json.dumps(CONTENT | {"taks": []}), "'taks' is not a key of results.json; did you mean 'tasks'?"),
        (json.dumps(CONTENT | {"tasks": {}}), "tasks must be a list, got dict"),
        (json.dumps(CONTENT | {"run": {"name": math.nan}}), "run.name must be a finite number"),
    ],
)
def test_a_broken_file_is_refused_with_its_path_and_the_rule(tmp_path, text, words):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(Refusal, match=f"{re.escape(str(path))}: .*{re.escape(words)}"):
        Results.load(path)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(Refusal, match="no such file"):
        Results.load(tmp_path / "results.json")


def test_a_curve_rises_in_length_and_has_the_interval_of_its_measure():
    results = Results(**content())
    assert results.curve("extended", "nll") == [(256, 3.0, 2.9, 3.1), (1024, 3.0, 2.9, 3.1)]
    _, value, low, high = results.curve("extended", "perplexity")[0]
    assert (low, high) == pytest.approx((math.exp(2.9), math.exp(3.1)))
    assert low < value < high
    assert results.curve("extended", "accuracy")[0] == (256, 0.4, None, None)
    assert results.curve("extended", "bits_per_byte") == results.curve("base", "nll") == []


def test_cells_have_a_depth_and_totals_are_over_all_depths():
    results = Results(**content())
    assert [row["depth"] for row in results.cells("passkey", "extended")] == [0.5]
    assert [row["depth"] for row in results.totals("passkey", "extended")] == ["all"]
    assert results.cells("passkey", "base") == results.totals("mqar", "extended") == []
