from collections.abc import Callable
from pathlib import Path

import pytest

from ctxext.evaluation.comparison.assembly import compared
from ctxext.evaluation.comparison.gates import Gate, broken, parsed
from ctxext.evaluation.comparison.reading import read
from ctxext.evaluation.results import Row
from ctxext.refusal import Refusal


@pytest.fixture
def comparison(run_in: Callable[..., Path]) -> Row:
    """Return the comparison of A, nll 3.3 at 1024 and passkey 0.5, with B, 3.1 and 1.0; the base has 3.0 and 4.0."""
    paths = []
    for name, nll, ranks in (("a", 3.3, [0, 1]), ("b", 3.1, [0, 0])):
        losses = {"base": {256: [3.0, 3.0], 1024: [4.0, 4.0]}, "extended": {256: [3.02, 3.02], 1024: [nll, nll]}}
        reached = [{"subject": "extended", "rule": "nll(0.05)", "length": 1024 if name == "b" else 512}]
        paths.append(run_in(name, losses, {"extended": {1024: ranks}}, effective_length=reached))
    return compared(*read(paths))


@pytest.mark.parametrize(
    ("rule", "gate"),
    [
        ("nll@1024 > base + 0.05", ("nll", 1024, ">", "base", 0.05)),
        ("nll@1024>base-.05", ("nll", 1024, ">", "base", -0.05)),
        ("passkey@512 < 0.9", ("passkey", 512, "<", "", 0.9)),
        ("short_cost >= -2e-2", ("short_cost", 0, ">=", "", -0.02)),
        ("nll > A", ("nll", 0, ">", "A", 0.0)),
        ("translation/en>de/bleu@256 <= 20", ("translation/en>de/bleu", 256, "<=", "", 20.0)),
    ],
)
def test_a_rule_is_read(rule: str, gate: tuple[str, int, str, str, float]) -> None:
    assert parsed(rule) == Gate(rule, *gate)


@pytest.mark.parametrize(
    "rule", ["", "nll", "nll@1024", "nll = 3", "nll > ", "nll > 3 + 4", "> 3", "nll > __import__('os')"]
)
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(Refusal, match="can't be read"):
        parsed(rule)


@pytest.mark.parametrize(
    ("rule", "who"),
    [
        ("nll@1024 > 3.2", "A"),
        ("nll@1024 < 3.2", "B"),
        ("nll@1024 > base - 0.8", "A"),
        ("nll@1024 > base", ""),
        ("nll > base", "AB"),  # at 256
        ("nll@1024 < A - 0.1", "B"),
        ("nll@1024 <= A", "B"),
        ("passkey@1024 < 0.9", "A"),
        ("passkey@1024 <= 1", "AB"),
        ("passkey@1024 > 1", ""),
        ("short_cost > 0.01", "AB"),
        ("short_cost > 0.03", ""),
        ("effective_length < 1024", "A"),
    ],
)
def test_a_rule_names_the_runs_that_it_holds_for(rule: str, who: str, comparison: Row) -> None:
    sentences = broken(comparison, [parsed(rule)])
    assert [sentence.removeprefix(f"{rule}: ")[0] for sentence in sentences] == list(who)


def test_a_broken_rule_says_which_number_broke_it(comparison: Row) -> None:
    assert broken(comparison, [parsed("nll@1024 > base - 0.8")]) == [
        "nll@1024 > base - 0.8: A (a) has nll@1024 3.3, and the bound is 3.2"
    ]


def test_what_was_not_measured_breaks_the_rule_that_needs_it(comparison: Row) -> None:
    assert broken(comparison, [parsed("passkey@1024 < base")]) == [
        "passkey@1024 < base: A (a) has no passkey@1024 of base",
        "passkey@1024 < base: B (b) has no passkey@1024 of base",
    ]
    assert broken(comparison, [parsed("nll@4096 > 3")])[0] == "nll@4096 > 3: A (a) has no nll@4096"
    without = comparison | {"effective_length": [], "short_cost": []}
    assert len(broken(without, [parsed("effective_length < 1024"), parsed("short_cost > 1")])) == 4


def test_a_run_without_results_breaks_every_rule(comparison: Row) -> None:
    absent = comparison | {"absent": [{"label": "C", "path": "runs/c", "reason": "no results.json"}]}
    assert broken(absent, [parsed("nll@1024 > 99")]) == ["nll@1024 > 99: C (runs/c) has no results"]


def test_a_rule_without_a_length_does_not_ask_for_a_task_without_filler(run_in: Callable[..., Path]) -> None:
    losses, ranks = {"extended": {256: [3.0, 3.0]}}, {"extended": {0: [1, 1], 256: [0, 0]}}
    found = compared(*read([run_in("a", losses, ranks)]))
    assert broken(found, [parsed("passkey < 0.9")]) == []


def test_a_run_that_measured_nothing_of_it_breaks_a_rule_without_a_length(run_in: Callable[..., Path]) -> None:
    losses = {"extended": {256: [3.0, 3.0]}}
    found = compared(*read([run_in("a", losses, {"extended": {256: [0]}}), run_in("b", losses)]))
    assert broken(found, [parsed("passkey < 0.9")]) == ["passkey < 0.9: B (b) has no passkey"]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("nl@1024 > 3", "no measure 'nl'; did you mean 'nll'?"),
        ("nll@1024 > bse", "'bse' is neither a number, a subject nor a run"),
        ("short_cost@256 > 0", "short_cost is one number of a run"),
        ("effective_length < base", "effective_length is one number of a run"),
    ],
)
def test_a_rule_on_what_is_not_there_is_refused(rule: str, sentence: str, comparison: Row) -> None:
    with pytest.raises(Refusal) as refused:
        broken(comparison, [parsed("nll@1024 > 0"), parsed(rule)])
    assert sentence in str(refused.value)
