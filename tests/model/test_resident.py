"""Memory is read off where the system tells it, and its peak can begin anew."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ctxext.model import resident
from ctxext.model.resident import forget_peak, free, held, is_out_of_memory, peak

CPU = torch.device("cpu")


def test_held_is_what_the_process_has_and_never_above_its_peak() -> None:
    before = held(CPU)
    kept = torch.ones(10_000_000)
    after = held(CPU)

    assert after - before == pytest.approx(kept.nbytes, rel=0.2)
    assert after <= peak(CPU) * 1.01


@pytest.mark.skipif(not resident.PEAKS.is_file(), reason="only Linux lets a peak begin anew")
def test_a_peak_that_begins_anew_knows_what_is_taken_from_then_on_and_nothing_of_before() -> None:
    torch.ones(60_000_000)
    high = peak(CPU)
    assert forget_peak(CPU)
    low = peak(CPU)
    torch.ones(20_000_000)

    assert high - low > 100e6
    assert peak(CPU) - low == pytest.approx(80e6, rel=0.2)


def test_where_the_system_does_not_let_it_the_peak_is_not_told_as_new(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch.ones(60_000_000)
    monkeypatch.setattr(resident, "PEAKS", tmp_path / "absent" / "clear_refs")
    assert not forget_peak(CPU)
    monkeypatch.setattr(resident, "PEAKS", tmp_path / "without_effect")
    assert not forget_peak(CPU)


LIMITED = """
import resource, torch
from pathlib import Path
from ctxext.model.resident import free
cpu = torch.device("cpu")
before = free(cpu)
mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (mapped + 50_000_000, resource.RLIM_INFINITY))
print(before, free(cpu))
"""


@pytest.mark.skipif(not resident.PAGES.is_file(), reason="the limit is Linux's")
def test_what_is_free_heeds_a_limit_of_the_process() -> None:
    said = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=120, check=True)
    before, after = map(int, said.stdout.split())
    assert before > 100_000_000
    assert 40_000_000 < after <= 50_000_000


@pytest.mark.parametrize(("told", "expected"), [("700000000\n", 500_000_000), ("max\n", None)])
def test_what_is_free_heeds_the_limit_of_a_container(
    told: str, expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "GROUP", tmp_path)
    (tmp_path / "memory.max").write_text(told)
    (tmp_path / "memory.current").write_text("300000000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 100000000\nactive_file 5\n")
    without = resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
    assert [limit - used for limit, used in resident.limits()] == ([expected] if expected and without else [])
    assert free(CPU) <= (expected or free(CPU) * 2)


def test_memory_that_ran_out_is_told_from_other_errors() -> None:
    words = ("DefaultCPUAllocator: can't allocate memory: you tried", "CUBLAS_STATUS_ALLOC_FAILED when calling")
    assert all(map(is_out_of_memory, (MemoryError(), torch.OutOfMemoryError(), *map(RuntimeError, words))))
    assert not is_out_of_memory(RuntimeError("shapes"))
