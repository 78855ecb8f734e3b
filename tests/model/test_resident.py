"""Memory is read off where the system tells it, and its peak can begin anew."""

from pathlib import Path

import pytest
import torch

from ctxext.model import resident
from ctxext.model.resident import forget_peak, held, peak

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
