"""From measurements to the sections of results.json: paired differences, effective lengths, and what is missing."""

from collections.abc import Callable
from itertools import groupby
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from ctxext.data.corpus import Corpus
from ctxext.data.sources import Sotu
from ctxext.evaluation.answers.scoring import task_rows
from ctxext.evaluation.assembly import Sections, assemble
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.measure import Measurement
from ctxext.evaluation.protocol import protocol
from ctxext.evaluation.results import Results, Row
from ctxext.evaluation.settings import Evaluation, Rules
from ctxext.evaluation.text.language import Scored, Windows
from ctxext.maths.mcnemar import Agreement, newcombe
from ctxext.tasks.samples import Place, Sample

LENGTHS = [16, 32, 64]
NLL = {"base": (2.0, 2.0, 4.0), "truncated": (2.0, 2.0, 2.2), "zero_shot": (2.1, 2.1, 2.5), "extended": (2.0, 1.9, 1.8)}
RIGHT = {"base": (20, 20, 2), "truncated": (20, 20, 9), "zero_shot": (18, 18, 10), "extended": (19, 19, 18)}


@pytest.fixture
def ground(make_ground: Callable[..., Ground]) -> Ground:
    return make_ground(True)


@pytest.fixture(scope="module")
def make_ground(
    make_settings: Callable[..., Evaluation], corpus: Corpus, tokenizer: Tokenizer
) -> Callable[..., Ground]:
    def ground(has_task: bool) -> Ground:
        names = ["passkey"] if has_task else []
        settings = make_settings(
            lengths=LENGTHS, scored_tokens=8, documents=5, subjects=[*NLL], tasks=names, samples=20
        )
        tokens = torch.ones(5, 64, dtype=torch.long)
        sample = Sample(Place("passkey", 0, 16, 0.0, 0), [1], [0])
        samples: dict[str, Any] = {name: Planted({length: [sample] for length in [0, *LENGTHS]}) for name in names}
        windows = Windows(tokens, tokens > 0, tokens, list("abcde"))
        return Ground(settings, 32, windows, samples, corpus, tokenizer, Sotu())

    return ground


class Planted(dict[int, list[Sample]]):
    """Samples of a task that fits every length."""

    unfit: ClassVar[dict[int, str]] = {}


def measurement(subject: str, *, has_task: bool = True) -> Measurement:
    spread = np.array([0.5, -0.2, 0.1, -0.6, 0.2])
    scored = {
        length: Scored(8 * (nll + spread), np.full(5, 4.0), np.full(5, 8.0), np.full(5, 20.0))
        for length, nll in zip(LENGTHS, NLL[subject], strict=True)
    }
    records: list[Row] = [
        {"subject": subject, "task": "passkey", "length": length, "depth": float(index % 2), "metric": "accuracy"}
        | {"chance": 0.1, "rank": int(index >= right), "index": index, "seed": 0}
        for length, right in zip([0, *LENGTHS], (20, *RIGHT[subject]), strict=True)
        for index in range(20)
    ]
    positions: list[Row] = [{"subject": subject, "low_position": 0, "high_position": 64, "nll": 2.0, "tokens": 9}]
    positions = [] if subject == "truncated" else positions
    return with_rows(Measurement(subject, scored, positions, records if has_task else []))


def with_rows(found: Measurement) -> Measurement:
    """Add the rows of `tasks` that follow from the records."""
    for _, records in groupby(found.records, key=lambda record: record["length"]):
        found.tasks += task_rows(records, is_by_depth=True)
    return found


def ending(whole: Measurement, length: int, reason: str) -> Measurement:
    """The same measurement of a subject that can read no more than `length` tokens."""
    scored = {known: sums for known, sums in whole.scored.items() if known <= length}
    records = [record for record in whole.records if record["length"] <= length]
    unread = {known: reason for known in LENGTHS if known > length}
    return with_rows(Measurement(whole.subject, scored, [], records, unread=unread))


@pytest.fixture(scope="module")
def sections(make_ground: Callable[..., Ground]) -> Sections:
    return assemble([measurement(subject) for subject in NLL], make_ground(True), {})


def test_what_is_assembled_is_what_the_contract_takes(sections: Sections, ground: Ground) -> None:
    Results(
        run={"name": "a"},
        lengths={"trained": 32, "target": 64, "evaluated": LENGTHS},
        protocol=protocol(ground),
        **vars(sections),
        export={},
    )
    assert [(row["subject"], row["length"]) for row in sections.by_length] == [(s, n) for s in NLL for n in LENGTHS]
    assert len(sections.tasks) == 4 * (1 + 3 * 3)


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


def test_gains_in_a_task_are_paired_by_sample(sections: Sections) -> None:
    rows = {(row["subject"], row["length"], row["depth"]): row for row in sections.tasks}
    row = rows["extended", 64, "all"]
    assert (row["minus_base"], row["minus_truncated"]) == pytest.approx((0.8, 0.45))
    assert (row["minus_base_low"], row["minus_base_high"]) == newcombe(Agreement(2, 16, 0, 2))
    paired = [row for row in sections.tasks if "minus_base" in row]
    assert {(row["depth"], row["subject"]) for row in paired} == {("all", "zero_shot"), ("all", "extended")}


def test_effective_lengths_are_against_the_base_at_its_trained_length(sections: Sections) -> None:
    reached = {(row["subject"], row["rule"]): (row["length"], row["at_least"]) for row in sections.effective_length}

    share, threshold = "score(0.85) passkey", "score>=0.75 passkey"
    own = "own_score(0.85) passkey"
    assert reached == {
        **{(subject, own): (64 if subject == "extended" else 32, subject == "extended") for subject in NLL},
        ("base", "nll(0.05)"): (32, False),
        ("base", share): (32, False),
        ("base", threshold): (32, False),
        ("truncated", "nll(0.05)"): (32, False),
        ("truncated", share): (32, False),
        ("truncated", threshold): (32, False),
        ("zero_shot", share): (32, False),
        ("zero_shot", threshold): (32, False),
        ("extended", "nll(0.05)"): (64, True),
        ("extended", share): (64, True),
        ("extended", threshold): (64, True),
    }
    (missing,) = [row for row in sections.missing if row["what"] == "effective_length nll(0.05)"]
    assert missing["subject"] == "zero_shot"
    assert "already more than 0.05 above the reference at 32" in missing["reason"]


def test_a_rule_is_left_out_or_held_against_the_subjects_own(ground: Ground) -> None:
    ground.settings.effective = Rules(nll=[], own_nll=[0.05, 0.5], score=[], own_score=[], absolute=[0.5])
    found = assemble([measurement(subject) for subject in NLL], ground, {})

    reached = {(row["subject"], row["rule"]): row["length"] for row in found.effective_length}
    assert {rule for _, rule in reached} == {"own_nll(0.05)", "own_nll(0.5)", "score>=0.5 passkey"}
    assert (reached["zero_shot", "own_nll(0.05)"], reached["zero_shot", "own_nll(0.5)"]) == (32, 64)
    assert (reached["base", "score>=0.5 passkey"], reached["zero_shot", "score>=0.5 passkey"]) == (32, 64)


def test_what_was_not_measured_is_missing_with_its_reason(ground: Ground) -> None:
    found = assemble([measurement("extended")], ground, {"base": "it was not asked for"})

    missing = {(row["subject"], row["what"]): row["reason"] for row in found.missing}
    reason = "the base was not measured at its trained length 32"
    assert missing == {
        ("extended", "effective_length nll(0.05)"): reason,
        ("extended", "effective_length score(0.85) passkey"): reason,
        ("base", "by_length"): "it was not asked for",
    }
    reached = [(row["rule"], row["length"]) for row in found.effective_length]
    assert reached == [("own_score(0.85) passkey", 64), ("score>=0.75 passkey", 64)]
    assert not any(key.startswith("minus") for row in found.by_length for key in row)


def test_a_base_whose_table_ends_is_missing_beyond_and_all_else_is_there(ground: Ground) -> None:
    base = ending(measurement("base"), 32, "its positions end at 32 tokens")
    found = assemble([base, *(measurement(s) for s in NLL if s != "base")], ground, {})

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
    assert reached["base", "nll(0.05)"] == reached["base", "score(0.85) passkey"] == (32, False)
    assert reached["extended", "nll(0.05)"] == (64, True)


def test_where_memory_ends_the_sweep_the_subject_may_reach_farther(ground: Ground) -> None:
    base = ending(measurement("base"), 32, "out of memory at batch 1")
    found = assemble([base], ground, {})

    reached = {row["rule"]: (row["length"], row["at_least"]) for row in found.effective_length}
    assert reached["nll(0.05)"] == reached["score(0.85) passkey"] == (32, True)


def test_a_base_that_can_read_no_length_of_the_run_is_missing_at_all(ground: Ground) -> None:
    base = ending(measurement("base"), 8, "its positions end at 8 tokens")
    found = assemble([base, measurement("extended")], ground, {})

    assert {row["subject"] for row in found.by_length} == {"extended"}
    lengths = [row["length"] for row in found.missing if row["subject"] == "base" and row["what"] == "by_length"]
    assert lengths == LENGTHS


def test_without_a_task_no_score_is_missed_and_without_positions_that_is_said(
    make_ground: Callable[..., Ground],
) -> None:
    measured = [measurement(subject, has_task=False) for subject in ("base", "truncated")]
    found = assemble(measured, make_ground(False), {})

    assert found.tasks == []
    assert [(row["subject"], row["what"]) for row in found.missing] == [("truncated", "by_position")]
    assert {row["rule"] for row in found.effective_length} == {"nll(0.05)"}
