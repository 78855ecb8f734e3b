import io
from dataclasses import dataclass

import pytest
from rich.console import Console
from rich.text import Text

from ctxext.evaluation.results import Results
from ctxext.reporting.block import DASH, absences, footnote
from ctxext.reporting.table import ledger_table, markdown, results_table, show


def printed(renderable, width=100):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(renderable)
    return console.file.getvalue()


def line_of(text, title, label):
    """The cells of the row `label` in the table under `title`."""
    return next(line for line in text[text.index(title) :].splitlines() if line.startswith(f" {label} ")).split()


@pytest.mark.parametrize("width", [80, 100])
def test_tables_fit_the_terminal_and_no_cell_is_cut(results, width):
    text = printed(results_table(results), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text


def test_lengths_beyond_the_trained_one_stand_right_of_the_divider_and_the_target_is_marked(results):
    header = printed(results_table(results)).splitlines()[1].split()
    assert header == ["128", "256", "|", "512", "1024*", "2048"]


def test_perplexity_is_shown_for_each_subject_and_length(results):
    text = printed(results_table(results))
    assert line_of(text, "PERPLEXITY", "extended") == ["extended", "24.61", "23.05", "|", "22.40", "22.21", "27.90"]
    assert line_of(text, "PERPLEXITY", "base") == ["base", "24.10", "22.80", "|", "61.02", ">1e3", ">1e3"]


def test_what_was_not_measured_is_a_dash_with_the_number_of_its_reason(results):
    text = printed(results_table(results))
    assert line_of(text, "PERPLEXITY", "zero_shot")[-2:] == [DASH, "[1]"]
    assert line_of(text, "RETRIEVAL passkey", "zero_shot")[-2:] == [DASH, "[2]"]
    assert "[1] zero_shot by_length at 2048: out of memory at batch 1" in text


def test_a_difference_whose_paired_interval_includes_0_is_marked(results):
    cells = line_of(printed(results_table(results)), "NLL DIFFERENCE", "extended - truncated")
    assert cells == ["extended", "-", "truncated", "+0.021", "+0.011°", "|", "-0.014", "-0.022", "+0.206"]


def test_retrieval_shows_chance_samples_and_intervals(results):
    text = printed(results_table(results))
    assert "rank of 10 (chance 0.10), 40 samples a cell" in text
    assert line_of(text, "RETRIEVAL", "extended")[-2:] == ["0.95", "0.20"]
    assert ".83-.99" in text


def test_effective_length_says_when_the_sweep_ended_first(results):
    cells = line_of(printed(results_table(results)), "EFFECTIVE LENGTH", "nll(0.05)")
    assert " ".join(cells) == f"nll(0.05) 256 ≥ 2048 {DASH} [3] 1024 (low 512)"


def test_sections_without_data_are_left_out(content):
    content |= {"by_position": [], "tasks": [], "effective_length": [], "cost": [], "export": {}, "missing": []}
    text = printed(results_table(Results(**content)))
    assert "PERPLEXITY" in text
    for title in ("RETRIEVAL", "EFFECTIVE", "COST", "EXPORT", "MISSING"):
        assert title not in text


def test_results_with_nothing_measured_still_print(content):
    empty = {name: [] for name in ("by_length", "by_position", "tasks", "effective_length", "cost", "missing")}
    assert printed(results_table(Results(**content | empty | {"export": {}}))).strip() == ""


def test_markdown_has_the_same_numbers_and_whole_tables(results):
    text = markdown(results)
    assert "| extended | 24.61 | 23.05 | 22.40 | 22.21 | 27.90 |" in text
    for table in text.split("\n\n"):
        widths = {line.replace("\\|", "").count("|") for line in table.splitlines() if line.startswith("|")}
        assert len(widths) <= 1


@dataclass(frozen=True)
class Row:
    outcome: str
    documents: int
    size: int


@dataclass(frozen=True)
class Counted(Row):
    tokens: int


def test_the_ledger_shows_each_outcome_and_tokens_only_where_they_are_known():
    text = printed(ledger_table([Row("read", 1234, 5_600_000), Row("dropped: exact duplicate", 3, 100)]))
    assert "1,234" in text
    assert "5,600,000" in text
    assert "tokens" not in text
    assert "77,000" in printed(ledger_table([Counted("kept: train", 9, 100, 77_000)]))


def test_the_table_says_so_if_a_pass_of_the_control_scored_many_tokens(results):
    before = printed(results_table(results))
    results.protocol["truncated_stride"] = 64

    assert "truncated sees" not in before
    assert "truncated sees 193 to 256 tokens, 64 scored a pass" in printed(results_table(results))


def scored(application="summarisation", metric="rouge1", **more):
    row = {"subject": "extended", "application": application, "group": "all", "metric": metric, "length": 512}
    return row | {"value": 0.31, "n": 30, "low": 0.25, "high": 0.36} | more


def test_a_task_without_filler_has_a_column_that_other_tables_have_not(content):
    ceiling = next(row for row in content["tasks"] if row["depth"] == "all" and row["subject"] == "extended")
    content["tasks"].append(ceiling | {"length": 0, "value": 0.99, "low": 0.9, "high": 1.0, "metric": "exact"})
    text = printed(results_table(Results(**content)))
    header = text[text.index("RETRIEVAL") :].splitlines()[1].split()
    assert header == ["no", "filler", "128", "256", "|", "512", "1024*", "2048"]
    assert line_of(text, "RETRIEVAL", "extended")[1] == "0.99"
    assert line_of(text, "RETRIEVAL", "base")[1] == DASH
    assert "rank of 10, exact (chance 0.10)" in text
    assert text.count("no filler") == 1


def test_measures_of_text_have_a_row_each_and_say_by_whom(content):
    row = {"subject": "extended", "measure": "longppl", "length": 512, "value": 12.345, "evaluator": "base"}
    content["language"] = [row, row | {"length": 1024, "value": 9.0}, row | {"subject": "base"}]
    text = printed(results_table(Results(**content)))
    assert line_of(text, "LANGUAGE", "longppl, extended") == ["longppl,", "extended", "12.3", "9"]
    assert line_of(text, "LANGUAGE", "longppl, base")[-1] == DASH
    assert "longppl: base" in text


def test_applications_are_told_apart_by_group_and_metric_with_their_signature(content):
    content["applications"] = [
        scored("translation", "BLEU", group="en-de", value=21.5, low=18.0, high=25.0, signature="nrefs:1|v:2.6"),
        scored("translation", "BLEU", group="de-en", value=0.0, low=0.0, high=0.0),
        scored("translation", "chrF", group="en-de", value=44.0, low=40.0, high=48.0),
    ]
    text = printed(results_table(Results(**content)))
    assert text.count("APPLICATION translation") == 2
    first = text[text.index("APPLICATION translation  en-de, 30 pairs a cell") :]
    assert first.splitlines()[1].split() == ["512"]
    assert line_of(first, "APPLICATION", "BLEU, extended")[-1] == "21.5"
    assert "18.0-25.0" in first
    assert "BLEU: nrefs:1|v:2.6" in first


def test_the_first_sentences_of_a_text_as_its_summary_stand_there_once(content):
    content["applications"] = [
        scored(metric=metric, subject=subject)
        for metric in ("rouge1", "rouge1 of lead-3")
        for subject in ("base", "extended")
    ]
    text = printed(results_table(Results(**content)))
    assert line_of(text, "APPLICATION", "rouge1 of lead-3")[-1] == "0.31"
    assert text.count("lead-3") == 1
    assert "rouge1, base" in text


def test_cost_has_a_row_for_each_number_and_how_time_grows(content):
    content["cost"] = [
        {"subject": subject, "length": length, "ms_per_token": time, "parameters": 1_300_000, "peak_bytes": 6e8}
        for subject, time in (("base", 0.2), ("extended", 0.3))
        for length in (512, 1024)
    ]
    content["cost"][-1] |= {"exponent": 1.31, "r_squared": 0.99, "threads": 2, "device": "cpu", "dtype": "float32"}
    text = printed(results_table(Results(**content)))
    assert line_of(text, "COST  at", "prefill ms") == ["prefill", "ms", "0.2", "0.3"]
    assert line_of(text, "COST  at", "time ~ L^") == ["time", "~", "L^", DASH, "1.31"]
    assert "device cpu, threads 2, dtype float32" in text
    assert line_of(text, "COST AGAINST BASE", "prefill ms")[-3:] == ["1.50", "1.50", DASH]


def test_markup_in_a_name_is_shown_as_it_is(content):
    content["export"] = {"format": "<b>|*", "label": "`x`"}
    assert "| \\<b>\\|\\* | \\`x\\` |" in markdown(Results(**content))


def test_a_log_is_as_wide_as_a_terminal_may_be(capsys):
    show(Text("x" * 99))
    assert capsys.readouterr().out == "x" * 99 + "\n"


def test_equal_reasons_of_subjects_and_lengths_are_one_entry_that_all_their_dashes_point_to(content):
    content["missing"] = [
        {"subject": subject, "what": "passkey", "length": length, "reason": "too long"}
        for subject in ("base", "extended")
        for length in (1024, 2048)
    ]
    content["missing"].append({"subject": "base", "what": "passkey", "length": 512, "reason": "another"})
    said = absences(Results(**content))
    assert said == ["base, extended passkey at 1024, 2048: too long", "base passkey at 512: another"]
    assert footnote(Results(**content), ("extended",), 2048, ("passkey",)) == " [1]"
    assert footnote(Results(**content), ("base",), 512, ("passkey",)) == " [2]"


def test_a_rule_that_failed_at_the_shortest_length_is_a_result(content):
    what, reason = "effective_length score>=0.75 passkey", "the score at 128 is 0, already below 0.75"
    content["missing"] = [{"subject": "base", "what": what, "reason": reason}]
    text = printed(results_table(Results(**content)))
    assert "< 128" in text
    assert "already below" not in text
