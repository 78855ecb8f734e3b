"""What was measured before is taken, and only that."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ctxext.commands import measuring
from ctxext.commands.foundation import prepared
from ctxext.commands.measuring import (
    COMPUTING,
    Findings,
    code_digest,
    digest_of,
    ground_of,
    measured,
    reader_of,
    save_records,
)
from ctxext.config.schema import Run
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.measure import Measurement
from ctxext.evaluation.reader import TruncatedReader, WholeReader
from ctxext.evaluation.text.language import Scored, drawn_end
from ctxext.position.alibi import Alibi
from ctxext.position.rope import RopeInterp
from ctxext.reporting.journal import Journal


@dataclasses.dataclass
class Bench:
    """A network on its ground."""

    run: Run
    ground: Ground
    network: Any
    data: Any

    def ground_with(self, **settings: Any) -> Ground:
        return dataclasses.replace(self.ground, settings=dataclasses.replace(self.ground.settings, **settings))


@pytest.fixture
def bench(tiny: Callable[..., Run], tmp_path: Path) -> Bench:
    run = tiny("evaluation.lengths=[32,64]")
    data = prepared(run, Journal(tmp_path, "a"))
    ground = ground_of(run, data, drawn_end)
    torch.manual_seed(0)
    return Bench(run, ground, run.model.build(run.position, run.mask, run.attention), data)


def test_the_same_weights_are_measured_once(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, ground = Journal(tmp_path, "a"), bench.ground_with(repeats=0)
    first = measured("base", bench.network, ground, tmp_path, journal, lambda: None)
    monkeypatch.setattr(bench.network, "hidden", None)
    again = measured("base", bench.network, ground, tmp_path, journal, lambda: None)

    assert "scores of the same weights are kept" in capsys.readouterr().out
    for length, scored in first.scored.items():
        assert scored.row("base", length) == again.scored[length].row("base", length)
    assert (again.positions, again.records) == (first.positions, first.records)


def test_another_length_or_task_costs_only_what_is_new(bench: Bench, tmp_path: Path) -> None:
    journal = Journal(tmp_path, "a")
    measured("base", bench.network, bench.ground_with(lengths=[64], repeats=0), tmp_path, journal, lambda: None)
    (file,) = (tmp_path / "measured").iterdir()
    before = file.read_text()
    measured("base", bench.network, bench.ground_with(lengths=[32, 64], repeats=0), tmp_path, journal, lambda: None)

    assert list((tmp_path / "measured").iterdir()) == [file]
    assert file.read_text().startswith(before)
    assert len(file.read_text().splitlines()) == 2 * len(before.splitlines())


def test_whatever_changes_a_score_changes_where_it_is_kept(bench: Bench) -> None:
    network, ground, seams = bench.network, bench.ground, (bench.network.mask, bench.network.attention)

    def digest(subject: str, network: Any) -> str:
        return digest_of(network, reader_of(subject, network, ground))

    tuned = bench.run.model.build(bench.run.position, *seams)
    tuned.load_state_dict(network.state_dict())
    same = digest("base", tuned)
    with torch.no_grad():
        tuned.norm.weight[3] += 1e-6
    others = [
        digest("truncated", network),
        digest("base", tuned),
        digest("base", network.reading(RopeInterp(10000.0, 2.0), *seams)),
        digest("base", network.reading(RopeInterp(10000.0, 4.0), *seams)),
        digest("base", network.reading(Alibi(), *seams)),
    ]

    assert digest("base", network) == digest("extended", network) == same
    assert len({same, *others}) == 1 + len(others)


def test_scores_of_other_code_are_kept_elsewhere(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = reader_of("base", bench.network, bench.ground)
    before = digest_of(bench.network, reader)
    monkeypatch.setattr(measuring, "code_digest", lambda: "of another day")

    assert digest_of(bench.network, reader) != before


@pytest.mark.parametrize("part", COMPUTING)
def test_code_that_computes_scores_tells_them_apart_and_no_other(part: str, tmp_path: Path) -> None:
    for name in ("seams.py", f"{part}/a/b.py", "reporting/table.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    digests = []
    for name in ("", "reporting/table.py", "seams.py", f"{part}/a/b.py"):
        if name:
            (tmp_path / name).write_text("x = 2\n")
        digests.append(code_digest.__wrapped__(tmp_path))

    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_the_control_s_stride_changes_the_control_alone(bench: Bench) -> None:
    strided = bench.ground_with(truncated_stride=5)

    for subject in ("base", "truncated", "zero_shot"):
        digests = {digest_of(bench.network, reader_of(subject, bench.network, g)) for g in (strided, bench.ground)}
        assert (len(digests) == 1) == (subject != "truncated")
    control = reader_of("truncated", bench.network, strided)
    assert isinstance(control, TruncatedReader)
    assert control.stride == 5


def test_only_the_control_reads_less_than_all(bench: Bench) -> None:
    for subject in ("base", "zero_shot", "extended"):
        assert isinstance(reader_of(subject, bench.network, bench.ground), WholeReader)
    control = reader_of("truncated", bench.network, bench.ground)
    assert isinstance(control, TruncatedReader)
    assert control.trained_length == 32


def test_findings_hold_what_was_asked_for_and_say_why_the_rest_is_absent(bench: Bench, tmp_path: Path) -> None:
    findings = Findings(bench.data, bench.ground_with(subjects=["base"]), {"extended": "nothing was trained"})
    for subject in ("base", "truncated"):
        findings.add(subject, bench.network, tmp_path, Journal(tmp_path, "a"), lambda: None)

    assert [measurement.subject for measurement in findings.measurements] == ["base"]
    left_out = "not among evaluation.subjects"
    assert findings.absent == {"truncated": left_out, "zero_shot": left_out, "extended": "nothing was trained"}


def test_samples_and_documents_are_written_a_line_each(bench: Bench, tmp_path: Path) -> None:
    findings = Findings(bench.data, bench.ground, {})
    for subject in ("base", "extended"):
        scored = Scored(*(np.array([1.0, 2.0, 3.0, 4.0]) for _ in range(4)))
        records = [{"subject": subject, "rank": number} for number in range(2)]
        findings.measurements.append(Measurement(subject, {32: scored}, [], records))
    save_records(tmp_path, findings)

    samples, documents = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("samples.jsonl", "documents.jsonl")
    )
    assert samples == [record for measurement in findings.measurements for record in measurement.records]
    assert [line["subject"] for line in documents] == ["base"] * len(bench.ground.windows.names) + ["extended"] * len(
        bench.ground.windows.names
    )
    assert [line["nll"] for line in documents[:2]] == [1.0, 2.0]


def test_costs_are_measured_at_the_end_of_those_subjects_that_were_scored(bench: Bench, tmp_path: Path) -> None:
    journal, findings = (
        Journal(tmp_path, "a"),
        Findings(bench.data, bench.ground_with(subjects=["base", "truncated"]), {}),
    )
    for subject in ("base", "truncated", "extended"):
        findings.add(subject, bench.network, tmp_path, journal, lambda: None)
    assert [found.cost for found in findings.measurements] == [[], []]
    findings.weigh(journal, lambda: None)
    seen = {found.subject: [row["length"] for row in found.cost] for found in findings.measurements}
    assert seen == {"base": [32, 64], "truncated": [32, 64]}
