import numpy as np
import pytest

from ctxext.evaluation.effective import Missed, Reached, by_nll, by_score

COUNTS = np.full(30, 10.0)


def documents(nll):
    """Per-document sums that all have the same mean `nll`."""
    return np.full(30, nll * 10.0)


def test_the_longest_length_within_the_margin_is_reached():
    losses = {256: documents(3.0), 512: documents(3.04), 1024: documents(3.06)}
    assert by_nll(losses, COUNTS, documents(3.0), 256) == Reached("nll(0.05)", 512, at_least=False, low=512)


def test_a_length_that_passes_after_one_that_fails_does_not_count():
    losses = {256: documents(3.0), 512: documents(3.2), 1024: documents(3.0)}
    assert by_nll(losses, COUNTS, documents(3.0), 256).length == 256


def test_lengths_below_the_trained_one_do_not_count():
    losses = {128: documents(9.0), 256: documents(3.0), 512: documents(3.0)}
    assert by_nll(losses, COUNTS, documents(3.0), 256) == Reached("nll(0.05)", 512, at_least=True, low=512)


def test_failing_at_the_trained_length_is_missing_with_a_reason_that_names_it():
    missed = by_nll({256: documents(3.2)}, COUNTS, documents(3.0), 256)
    assert isinstance(missed, Missed)
    assert "256" in missed.reason
    assert missed.row("zero_shot")["what"] == "effective_length nll(0.05)"


def test_a_stricter_margin_is_named_in_the_rule():
    reached = by_nll({256: documents(3.0), 512: documents(3.03)}, COUNTS, documents(3.0), 256, margin=0.02)
    assert (reached.rule, reached.length) == ("nll(0.02)", 256)


def test_the_lower_bound_falls_where_documents_disagree():
    spread = np.random.default_rng(0).normal(0.0, 5.0, 30)
    losses = {256: documents(3.0), 512: documents(3.03) + spread - spread.mean()}
    reached = by_nll(losses, COUNTS, documents(3.0), 256)
    assert (reached.length, reached.low) == (512, 256)


def test_the_base_is_resampled_with_the_subject():
    spread = np.random.default_rng(0).normal(0.0, 5.0, 30)
    losses = {256: documents(3.0) + spread, 512: documents(3.03) + spread}
    assert by_nll(losses, COUNTS, documents(3.0) + spread, 256).low == 512


def test_the_lower_bound_is_absent_from_the_row_when_some_resamples_pass_nowhere():
    spread = np.random.default_rng(0).normal(0.0, 5.0, 30)
    reached = by_nll({256: documents(3.04) + spread - spread.mean()}, COUNTS, documents(3.0), 256)
    assert "low" not in reached.row("extended")


def test_score_asks_every_shorter_length_too():
    scores = {128: 0.5, 256: 1.0, 512: 1.0}
    assert isinstance(by_score(scores, 1.0, 0.91, 0.1), Missed)


@pytest.mark.parametrize(("last", "length", "at_least"), [(0.85, 1024, True), (0.84, 512, False)])
def test_score_passes_at_exactly_the_share_of_the_base(last, length, at_least):
    reached = by_score({256: 1.0, 512: 0.9, 1024: last}, 1.0, 0.91, 0.1)
    assert reached == Reached("score(0.85)", length, at_least)


def test_score_is_missing_when_the_base_is_at_chance():
    missed = by_score({256: 0.2}, 0.2, 0.09, 0.1)
    assert isinstance(missed, Missed)
    assert "cannot do the task" in missed.reason
