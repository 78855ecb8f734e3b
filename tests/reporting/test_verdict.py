from ctxext.evaluation.results import Results
from ctxext.reporting.verdict import verdict


def without(content, subject, *keys):
    """The results without `subject`, or without the paired `keys` of every row."""
    for section in ("by_length", "by_position", "tasks", "effective_length"):
        content[section] = [row for row in content[section] if row["subject"] != subject]
    for row in content["by_length"]:
        for key in keys:
            row.pop(key, None)
    return Results(**content)


def test_it_says_at_which_lengths_dropping_the_old_text_is_better(results):
    sentence = next(sentence for sentence in verdict(results) if sentence.startswith("truncated beats extended"))
    assert "at 2048:" in sentence
    assert "worse there than dropping the old text" in sentence
    assert "0.206" in sentence


def test_it_says_at_which_lengths_the_method_is_better(results):
    assert "extended beats truncated on nll at 512 and 1024 (by up to 0.022 nats)." in verdict(results)


def test_a_difference_within_its_paired_interval_is_not_called_a_win(content):
    for row in content["by_length"]:
        row |= {"minus_truncated_low": -1.0, "minus_truncated_high": 1.0}
    said = " ".join(verdict(Results(**content)))
    assert "beats" not in said
    assert "cannot be told apart on nll at 512, 1024 and 2048" in said


def test_it_says_the_gain_over_the_base_at_the_target_and_the_price_at_short_lengths(results):
    first, second = verdict(results)[:2]
    assert first.startswith("At 1024, 4 times the trained length, the nll of extended is 4.97 nats")
    assert first.endswith("lower than that of base.")
    assert second == "At lengths up to 256 it costs up to 0.021 nats (at 128)."


def test_where_the_method_is_better_at_every_short_length_it_says_that_it_costs_nothing(content):
    for row in content["by_length"]:
        if row["subject"] == "base":
            row["nll"] += 0.1
    assert "At lengths up to 256 it costs nothing, and gains 0.079 nats or more (at 128)." in verdict(
        Results(**content)
    )


def test_on_a_task_it_says_paired_gains_and_what_may_be_chance_and_judges_nothing_without_pairs(results, content):
    said = verdict(results)[-1]
    assert said.startswith("On passkey at 1024 extended scores 0.95 (0.83 to 0.99), chance 0.10; base 0.10")
    assert "for extended" not in said
    for row in content["tasks"]:
        row |= {"minus_base": 0.85, "minus_base_low": 0.7, "minus_base_high": 0.9}
        row |= {"minus_truncated": 0.1, "minus_truncated_low": -0.1, "minus_truncated_high": 0.3}
    said = verdict(Results(**content))[-1]
    assert "+0.85 for extended (paired 95% +0.70 to +0.90); truncated" in said
    assert "+0.10 for extended (paired 95% -0.10 to +0.30, which may be chance)." in said


def test_five_documents_beat_nothing(content):
    content["protocol"]["documents"] = 5
    said = " ".join(verdict(Results(**content)))
    assert "beats" not in said
    assert "extended and truncated cannot be told apart on nll at 512, 1024 and 2048" in said


def test_without_training_zero_shot_stands_for_the_method(content):
    said = " ".join(verdict(without(content, "extended")))
    assert "nll of zero_shot" in said
    assert "extended" not in said


def test_without_paired_intervals_the_direction_is_still_said(content):
    keys = [f"minus_{other}{end}" for other in ("base", "truncated") for end in ("", "_low", "_high")]
    said = " ".join(verdict(without(content, "zero_shot", *keys)))
    assert "truncated beats extended on nll at 2048" in said
    assert "paired" not in said


def test_without_a_method_nothing_is_said(content):
    without(content, "zero_shot")
    assert verdict(without(content, "extended")) == []


def test_a_task_that_fails_without_filler_is_called_out_of_reach(content):
    row = next(row for row in content["tasks"] if row["depth"] == "all" and row["subject"] == "extended")
    ceiling = row | {"length": 0, "value": 0.15, "low": 0.06, "high": 0.3}
    content["tasks"].append(ceiling)
    assert verdict(Results(**content))[-1].endswith("on passkey: it can't do the task, whatever the length.")
    ceiling["low"] = 0.11
    assert "without any filler" not in " ".join(verdict(Results(**content))).lower()


def test_a_caution_of_the_protocol_comes_first_and_once(content):
    content["protocol"]["caution"] = "of 12 documents: intervals are too narrow"
    said = verdict(Results(**content))
    assert said[0] == "Caution: of 12 documents: intervals are too narrow."
    assert sum("Caution" in sentence for sentence in said) == 1
