"""Every module with code has its test file at the same place."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Covered by the test file named, where a file of its own would say the same again.
COVERED = {
    "__main__.py": "test_cli.py",
    "attention/softmax.py": "kernels/test_gather.py",
    "commands/settling.py": "commands/test_jobs.py",
    "config/folders.py": "test_conf.py",
    "config/record.py": "config/test_saved.py",
    "config/rules/columns.py": "config/rules/test_matrix.py",
    "config/schema.py": "config/test_building.py",
    "data/documents.py": "data/test_sources.py",
    "data/ledger.py": "data/test_prepare.py",
    "data/watch.py": "data/test_deduplication.py",
    "formats/huggingface/writing/bodies.py": "formats/huggingface/writing/test_homes.py",
    "formats/huggingface/writing/composition.py": "formats/huggingface/writing/test_homes.py",
    "formats/huggingface/writing/reasons.py": "formats/huggingface/writing/test_homes.py",
    "formats/huggingface/writing/rope_notes.py": "formats/huggingface/writing/test_ropes.py",
    "commands/keeping.py": "commands/test_jobs.py",
    "model/block.py": "model/test_decoder.py",
    "model/bodies.py": "model/test_families.py",
    "parallel/collectives.py": "parallel/test_mesh.py",
    "parallel/sharding.py": "parallel/test_mesh.py",
    "planning/outline.py": "planning/test_traffic.py",
    "planning/residence.py": "planning/test_traffic.py",
    "proving/finding.py": "proving/test_suite.py",
    "proving/turning.py": "proving/test_formulas.py",
    "reporting/applied.py": "reporting/test_table.py",
    "reporting/block.py": "reporting/test_table.py",
    "reporting/blocks.py": "reporting/test_table.py",
    "reporting/events.py": "reporting/test_journal.py",
    "reporting/look.py": "reporting/test_plots.py",
    "reporting/measured.py": "reporting/test_table.py",
    "reporting/panels.py": "reporting/test_plots.py",
    "reporting/participants.py": "reporting/test_comparison.py",
    "reporting/pictures.py": "reporting/test_page.py",
    "reporting/plan.py": "commands/test_planning.py",
    "reporting/scalars.py": "reporting/test_journal.py",
    "reporting/sheet.py": "reporting/test_comparison.py",
    "training/manifest.py": "training/test_checkpoint.py",
    "training/shares.py": "parallel/test_mesh.py",
}


def has_code(source: str) -> bool:
    """Return whether `source` defines a function, or a class with one: names and fields alone need no test."""
    return any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(source)))


def modules() -> list[str]:
    """Return the modules with code, as paths below the package."""
    package = ROOT / "ctxext"
    paths = sorted(package.rglob("*.py"))
    return [str(path.relative_to(package)) for path in paths if has_code(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("module", sorted({*modules(), *COVERED}))
def test_a_module_with_code_has_its_test_file(module):
    path = Path(module)
    mirror = COVERED.get(module, str(path.with_name(f"test_{path.name}")))
    assert (ROOT / "ctxext" / module).is_file(), f"{module} is gone: drop it from the list"
    assert (ROOT / "tests" / mirror).is_file(), f"{module} has no tests/{mirror}"


@pytest.mark.parametrize("module", sorted(COVERED))
def test_no_exception_is_listed_that_has_a_file_of_its_own(module):
    path = Path(module)
    assert not (ROOT / "tests" / path.with_name(f"test_{path.name}")).is_file()
