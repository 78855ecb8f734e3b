import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ctxext.evaluation.comparison.assembly import compared
from ctxext.evaluation.comparison.reading import read

LOSSES = {"base": {256: [3.0, 3.1], 1024: [4.0, 4.2]}, "extended": {256: [3.0, 3.1], 1024: [3.2, 3.1]}}
SECTIONS = (
    """runs same config warnings absent tables differences short_cost effective_length cost export missing verdict"""
)


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


def test_a_run_without_results_is_warned_of_first_and_keeps_its_letter(run_in: Callable[..., Path]) -> None:
    paths = [run_in(name, LOSSES) for name in "abcd"]
    (paths[0] / "results.json").unlink()
    (paths[0] / "failure.json").write_text('{"status": "failed", "sentence": "no memory"}', encoding="utf-8")
    whole = (paths[2] / "results.json").read_text(encoding="utf-8")
    (paths[2] / "results.json").write_text(whole[:200], encoding="utf-8")
    found = compared(*read(paths))
    assert [run["label"] for run in found["runs"]] == ["B", "D"]
    assert found["warnings"][0] == f"A ({paths[0]}) is not in the tables: no results.json (failed: no memory)"
    assert found["warnings"][1].startswith(f"C ({paths[2]}) is not in the tables: {paths[2]}")
    assert [one["label"] for one in found["absent"]] == ["A", "C"]


@pytest.mark.parametrize("module", ["assembly", "gates"])
def test_reading_and_comparing_needs_no_torch(module: str) -> None:
    program = f"import sys, ctxext.evaluation.comparison.{module}; assert not {{'torch', 'scipy'}} & set(sys.modules)"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
