"""From measurements to the sections of results.json: paired differences, effective lengths, and what is missing."""

import numpy as np
import pytest
import torch

from ctxext.evaluation.assembly import Sections, assemble, protocol
from ctxext.evaluation.language import Scored, Windows
from ctxext.evaluation.measure import Ground, Measurement
from ctxext.evaluation.results import Results, Row
from ctxext.evaluation.settings import Evaluation
from ctxext.tasks.passkey import Sample

LENGTHS = [16, 32, 64]
NLL = {"base": (2.0, 2.0, 4.0), "truncated": (2.0, 2.0, 2.2), "zero_shot": (2.1, 2.1, 2.5), "extended": (2.0, 1.9, 1.8)}
RIGHT = {"base": (20, 20, 2), "truncated": (20, 20, 9), "zero_shot": (18, 18, 10), "extended": (19, 19, 18)}


def ground(*, has_task: bool) -> Ground:
    settings = Evaluation(LENGTHS, 8, 5, [*NLL], ["passkey"] if has_task else [], [0.0, 1.0], 20, 0, 512, 1)
    tokens = torch.ones(5, 64, dtype=torch.long)
    sample = Sample("passkey", 16, 0.0, 0, 0, [1], [0], ["a"], [[1]])
    samples = {length: [sample] for length in LENGTHS} if has_task else {}
    return Ground(settings, 32, Windows(tokens, tokens > 0, tokens, list("abcde")), samples)


def measurement(subject: str, *, has_task: bool = True) -> Measurement:
    spread = np.array([0.5, -0.2, 0.1, -0.6, 0.2])
    scored = {
        length: Scored(8 * (nll + spread), np.full(5, 4.0), np.full(5, 8.0), np.full(5, 20.0))
        for length, nll in zip(LENGTHS, NLL[subject], strict=True)
    }
    records: list[Row] = [
        {
            "subject": subject,
            "task": "passkey",
            "length": length,
            "depth": float(index % 2),
            "rank": int(index >= right),
        }
        for length, right in zip(LENGTHS, RIGHT[subject], strict=True)
        for index in range(20)
    ]
    positions: list[Row] = [{"subject": subject, "low_position": 0, "high_position": 64, "nll": 2.0, "tokens": 9}]
    positions = [] if subject == "truncated" else positions
    return Measurement(subject, scored, positions, records if has_task else [], {})


def ending(whole: Measurement, length: int, reason: str) -> Measurement:
    """The same measurement of a subject that can read no more than `length` tokens."""
    scored = {known: sums for known, sums in whole.scored.items() if known <= length}
    records = [record for record in whole.records if record["length"] <= length]
    return Measurement(whole.subject, scored, [], records, {known: reason for known in LENGTHS if known > length})


@pytest.fixture(scope="module")
def sections() -> Sections:
    return assemble([measurement(subject) for subject in NLL], ground(has_task=True), {})


def test_what_is_assembled_is_what_the_contract_takes(sections: Sections) -> None:
    Results(
        run={"name": "a"},
        lengths={"trained": 32, "target": 64, "evaluated": LENGTHS},
        protocol=protocol(ground(has_task=True)),
        **vars(sections),
        cost=[],
        export={},
    )
    assert [(row["subject"], row["length"]) for row in sections.by_length] == [(s, n) for s in NLL for n in LENGTHS]
    assert len(sections.tasks) == 4 * 3 * 3


def test_differences_from_the_controls_are_paired(sections: Sections) -> None:
    rows = {(row["subject"], row["length"]): row for row in sections.by_length}

    for subject in ("zero_shot", "extended"):
        for control in ("base", "truncated"):
            for place, length in enumerate(LENGTHS):
                row, wanted = rows[subject, length], NLL[subject][place] - NLL[control][place]
                # The documents differ from one another, but the subjects by the same on each: paired, nothing is left.
                for key in ("", "_low", "_high"):
                    assert row[f"minus_{control}{key}"] == pytest.approx(wanted, abs=1e-9)
                assert row["high"] - row["low"] > 0.1
    assert not any(key.startswith("minus") for row in sections.by_length[:6] for key in row)


def test_effective_lengths_are_against_the_base_at_its_trained_length(sections: Sections) -> None:
    reached = {(row["subject"], row["rule"]): (row["length"], row["at_least"]) for row in sections.effective_length}

    assert reached == {
        ("base", "nll(0.05)"): (32, False),
        ("base", "score(0.85)"): (32, False),
        ("truncated", "nll(0.05)"): (32, False),
        ("truncated", "score(0.85)"): (32, False),
        ("zero_shot", "score(0.85)"): (32, False),
        ("extended", "nll(0.05)"): (64, True),
        ("extended", "score(0.85)"): (64, True),
    }
    (missing,) = [row for row in sections.missing if row["what"] == "effective_length nll(0.05)"]
    assert missing["subject"] == "zero_shot"
    assert "already more than 0.05 above the base" in missing["reason"]


def test_what_was_not_measured_is_missing_with_its_reason() -> None:
    found = assemble([measurement("extended")], ground(has_task=True), {"base": "it was not asked for"})

    missing = {(row["subject"], row["what"]): row["reason"] for row in found.missing}
    reason = "the base was not measured at its trained length 32"
    assert missing == {
        ("extended", "effective_length nll(0.05)"): reason,
        ("extended", "effective_length score(0.85)"): reason,
        ("base", "by_length"): "it was not asked for",
    }
    assert found.effective_length == []
    assert not any(key.startswith("minus") for row in found.by_length for key in row)


def test_a_base_whose_table_ends_is_missing_beyond_and_all_else_is_there() -> None:
    base = ending(measurement("base"), 32, "its positions end at 32 tokens")
    found = assemble([base, *(measurement(s) for s in NLL if s != "base")], ground(has_task=True), {})

    known = {(row["subject"], row["length"]): row for row in found.by_length}
    assert ("base", 64) not in known
    assert "minus_base" in known["extended", 32]
    assert "minus_base" not in known["extended", 64]
    assert "minus_truncated" in known["extended", 64]
    reason = "its positions end at 32 tokens"
    assert [row for row in found.missing if row["subject"] == "base"] == [
        {"subject": "base", "what": "by_length", "length": 64, "reason": reason},
        {"subject": "base", "what": "passkey", "length": 64, "reason": reason},
        {"subject": "base", "what": "by_position", "reason": reason},
    ]
    reached = {(row["subject"], row["rule"]): (row["length"], row["at_least"]) for row in found.effective_length}
    assert reached["base", "nll(0.05)"] == reached["base", "score(0.85)"] == (32, False)
    assert reached["extended", "nll(0.05)"] == (64, True)


def test_a_base_that_can_read_no_length_of_the_run_is_missing_at_all() -> None:
    base = ending(measurement("base"), 8, "its positions end at 8 tokens")
    found = assemble([base, measurement("extended")], ground(has_task=True), {})

    assert {row["subject"] for row in found.by_length} == {"extended"}
    lengths = [row["length"] for row in found.missing if row["subject"] == "base" and row["what"] == "by_length"]
    assert lengths == LENGTHS


def test_without_a_task_no_score_is_missed_and_without_positions_that_is_said() -> None:
    measured = [measurement(subject, has_task=False) for subject in ("base", "truncated")]
    found = assemble(measured, ground(has_task=False), {})

    assert found.tasks == []
    assert [(row["subject"], row["what"]) for row in found.missing] == [("truncated", "by_position")]
    assert {row["rule"] for row in found.effective_length} == {"nll(0.05)"}


def test_the_protocol_says_what_was_measured() -> None:
    said = protocol(ground(has_task=True))

    assert said.keys() == {
        *("perplexity", "truncated", "passkey", "interval"),
        *("scored_tokens", "truncated_stride", "documents", "samples"),
    }
    assert (said["scored_tokens"], said["documents"], said["samples"]) == (8, 5, 20)
    assert "last 8 tokens" in said["perplexity"]
    assert "last 32 tokens" in said["truncated"]
    assert said["truncated_stride"] == 1
    assert protocol(ground(has_task=False))["samples"] == 0


def test_the_protocol_says_how_many_tokens_a_pass_of_the_control_scored() -> None:
    strided = ground(has_task=True)
    strided.settings.truncated_stride = 8

    said = protocol(strided)

    assert said["truncated_stride"] == 8
    assert "from the last 25 to 32 tokens (a pass scores 8) of its window" in said["truncated"]
