import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ctxext.evaluation.comparison.assembly import compared
from ctxext.evaluation.comparison.reading import read

LOSSES = {"base": {256: [3.0, 3.1], 1024: [4.0, 4.2]}, "extended": {256: [3.0, 3.1], 1024: [3.2, 3.1]}}
SECTIONS = """runs same config warnings tables differences short_cost effective_length cost export missing verdict"""


def test_a_comparison_is_plain_values_under_the_names_of_the_contract(run_in: Callable[..., Path]) -> None:
    found = compared(*read([run_in("a", LOSSES), run_in("b", LOSSES)]))
    assert list(found) == SECTIONS.split()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert {"measure", "length", "difference", "low", "high", "p"} <= found["differences"][0].keys()
    assert {"label", "name", "seeds", "subject", "trained", "target", "path"} <= found["runs"][0].keys()


def test_perplexity_is_shown_and_not_tested_beside_nll(run_in: Callable[..., Path]) -> None:
    found = compared(*read([run_in("a", LOSSES), run_in("b", LOSSES)]))
    assert [table["measure"] for table in found["tables"]] == ["perplexity", "nll"]
    assert {row["measure"] for row in found["differences"]} == {"nll"}


def test_a_run_alone_is_compared_with_its_controls(run_in: Callable[..., Path]) -> None:
    found = compared(*read([run_in("a", LOSSES)]))
    assert {(row["first"], row["second"], row["second_subject"]) for row in found["differences"]} == {
        ("A", "A", "base")
    }
    assert "A beats base" in found["verdict"] or "A can't be told from base" in found["verdict"]


def test_a_sentence_on_an_absent_run_is_kept(run_in: Callable[..., Path]) -> None:
    records, _ = read([run_in("a", LOSSES)])
    assert compared(records, ["1_b: no results.json"])["missing"] == ["1_b: no results.json"]


@pytest.mark.parametrize("module", ["assembly", "gates"])
def test_reading_and_comparing_needs_no_torch(module: str) -> None:
    program = f"import sys, ctxext.evaluation.comparison.{module}; assert not {{'torch', 'scipy'}} & set(sys.modules)"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
