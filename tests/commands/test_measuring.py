"""What was measured before is taken, and only that."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctxext.commands.foundation import prepared
from ctxext.commands.measuring import Findings, digest_of, measured, reader_of, save_samples
from ctxext.config.schema import Run
from ctxext.evaluation.language import drawn_end, last_end
from ctxext.evaluation.measure import Ground, Measurement, common_ground
from ctxext.evaluation.reader import TruncatedReader, WholeReader
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
    ground = common_ground(run.evaluation, 32, data.test, data.tokenizer, drawn_end)
    torch.manual_seed(0)
    return Bench(run, ground, run.model.build(run.position, run.mask, run.attention), data)


def test_the_same_weights_are_measured_once(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, "a")
    first = measured("base", bench.network, bench.ground, tmp_path, journal)
    monkeypatch.setattr(bench.network, "hidden", None)
    again = measured("base", bench.network, bench.ground, tmp_path, journal)

    assert "the same weights were measured before" in capsys.readouterr().out
    for length, scored in first.scored.items():
        assert scored.row("base", length) == again.scored[length].row("base", length)
    assert (again.positions, again.records) == (first.positions, first.records)


def test_whatever_changes_a_measurement_changes_where_it_is_kept(bench: Bench) -> None:
    network, ground, seams = bench.network, bench.ground, (bench.network.mask, bench.network.attention)
    tuned = bench.run.model.build(bench.run.position, *seams)
    tuned.load_state_dict(network.state_dict())
    same = digest_of("base", tuned, bench.ground_with(subjects=["base"], every=7))
    with torch.no_grad():
        tuned.norm.weight[3] += 1e-6
    windows = common_ground(bench.run.evaluation, 32, bench.data.test, bench.data.tokenizer, last_end).windows
    others = [
        digest_of("truncated", network, ground),
        digest_of("base", tuned, ground),
        digest_of("base", network.reading(RopeInterp(10000.0, 2.0), *seams), ground),
        digest_of("base", network.reading(RopeInterp(10000.0, 4.0), *seams), ground),
        digest_of("base", network.reading(Alibi(), *seams), ground),
        digest_of("base", network, bench.ground_with(scored_tokens=7)),
        digest_of("base", network, bench.ground_with(lengths=[32, 48])),
        digest_of("base", network, dataclasses.replace(ground, trained_length=16)),
        digest_of("base", network, dataclasses.replace(ground, windows=windows)),
    ]

    assert digest_of("base", network, ground) == same
    assert len({same, *others}) == 1 + len(others)


def test_the_control_s_stride_changes_the_control_alone(bench: Bench) -> None:
    strided = bench.ground_with(truncated_stride=5)

    for subject in ("base", "truncated", "zero_shot"):
        alike = digest_of(subject, bench.network, strided) == digest_of(subject, bench.network, bench.ground)
        assert alike == (subject != "truncated")
    control = reader_of("truncated", bench.network, strided)
    assert isinstance(control, TruncatedReader)
    assert control.stride == 5


def test_a_task_s_samples_are_part_of_what_was_measured(bench: Bench) -> None:
    settings = dataclasses.replace(bench.run.evaluation, tasks=["passkey"], lengths=[64], samples=2)
    grounds = [common_ground(settings, 32, bench.data.test, bench.data.tokenizer, drawn_end) for _ in range(2)]
    first = digest_of("base", bench.network, grounds[0])
    grounds[1].samples[64][0].prompt[5] += 1

    assert digest_of("base", bench.network, grounds[1]) != first


def test_only_the_control_reads_less_than_all(bench: Bench) -> None:
    for subject in ("base", "zero_shot", "extended"):
        assert isinstance(reader_of(subject, bench.network, bench.ground), WholeReader)
    control = reader_of("truncated", bench.network, bench.ground)
    assert isinstance(control, TruncatedReader)
    assert control.trained_length == 32


def test_findings_hold_what_was_asked_for_and_say_why_the_rest_is_absent(bench: Bench, tmp_path: Path) -> None:
    findings = Findings(bench.data, bench.ground_with(subjects=["base"]), {"extended": "nothing was trained"})
    for subject in ("base", "truncated"):
        findings.add(subject, bench.network, tmp_path, Journal(tmp_path, "a"))

    assert [measurement.subject for measurement in findings.measurements] == ["base"]
    left_out = "not among evaluation.subjects"
    assert findings.absent == {"truncated": left_out, "zero_shot": left_out, "extended": "nothing was trained"}


def test_samples_are_written_a_line_each(tmp_path: Path) -> None:
    measurements = [
        Measurement(s, {}, [], [{"subject": s, "rank": n} for n in range(2)], {}) for s in ("base", "extended")
    ]
    save_samples(tmp_path / "samples.jsonl", measurements)

    lines = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert lines == [record for measurement in measurements for record in measurement.records]
