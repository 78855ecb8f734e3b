import copy
import io
import re

import pytest
from rich.console import Console

from ctxext.reporting.block import DASH
from ctxext.reporting.comparison import as_markdown, as_text


def printed(comparison, width=100):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(as_text(comparison))
    return console.file.getvalue()


def section(text, title):
    """The lines below `title`, up to the next empty one."""
    return text[text.index(f"\n{title}") + 1 :].partition("\n\n")[0].splitlines()


def line_of(text, title, label):
    """The cells of the row `label` in the table under `title`."""
    return next(line for line in section(text, title) if line.startswith(f" {label} ")).split()


@pytest.mark.parametrize(
    ("which", "width"), [("comparison", 60), ("comparison", 80), ("comparison", 100), ("many", 80), ("many", 100)]
)
def test_nothing_is_wider_than_the_console_and_no_number_is_cut(which, width, request):
    found = request.getfixturevalue(which)
    for row in found["cost"] if which == "comparison" else []:
        row["subject"] = "zero_shot"
    text = printed(found, width)
    assert max(len(line) for line in text.splitlines()) <= width
    shown = [row for row in found["tables"][0]["rows"] if which == "comparison" or row["subject"] != "zero_shot"]
    expected = [f"{row['values']['128']['value']:.2f}" for row in shown]
    assert all(word in text for word in expected)
    name = "A rope_interp zero_shot" if which == "comparison" else "A method_A"
    if width > 60:
        assert line_of(text, "COST", name)[-5:] == ["0.228", "0.9", "0.6", "1.31", "0.992"]
        together = "A zero_shot, B zero_shot" if which == "comparison" else "A to L"
        line = next(line for line in text.splitlines() if line.startswith(f" {together} "))
        assert line.split()[-5:] == ["1.3", "3.1", "4.2", "0.5", "2.05"]
    assert "…" not in re.sub(r"<script>[\w.]*…", "", text)


def test_who_takes_part_is_said_with_what_all_share(comparison):
    text = printed(comparison)
    assert text.startswith("RUNS  same base, data, tokenizer, protocol\n")
    comparison["runs"][0]["method"] = "linear"
    lines = printed(comparison).splitlines()
    assert lines[2].split() == ["A", "rope_interp", "linear", "extended", "0", "256", "1024", "30", "123k"]


def test_config_has_a_column_for_each_of_few_runs_and_a_line_for_each_value_of_many(comparison, many):
    few = section(printed(comparison), "CONFIG")
    assert few[0] == "CONFIG  3 of 71 keys differ"
    assert few[2].split() == ["position.factor", "8.0", "4.0"]
    assert few[-1].split() == ["mask.window", "128", DASH]
    lines = [line.split() for line in section(printed(many), "CONFIG")]
    assert ["position.factor", "8.0", "A"] in lines
    assert ["4.0", *"BCDEFGHIJKL"] in lines


def test_lengths_have_a_divider_at_the_trained_one_and_a_star_at_the_target(comparison):
    lines = section(printed(comparison), "PERPLEXITY")
    assert lines[0].endswith("the same last 64 tokens of 60 documents at every length")
    assert lines[1].split() == ["128", "256", "|", "512", "1024*", "2048"]
    assert lines[2].split() == ["base", "24.10", "22.80", "|", "61.02", ">1e3", ">1e3"]


def test_a_missing_number_is_a_dash_with_a_numbered_reason_that_is_said_once(comparison):
    text = printed(comparison)
    assert line_of(text, "PERPLEXITY", "A rope_interp zero_shot")[-2:] == [DASH, "[1]"]
    assert line_of(text, "EFFECTIVE LENGTH", "A rope_interp")[-2:] == [DASH, "[2]"]
    missing = [line.strip() for line in section(text, "MISSING")[1:]]
    assert missing == [
        "[1] out of memory at batch 1",
        "[2] the base cannot do the task at its own length",
        "[3] B zero_shot cost: this machine has no clock",
    ]


def test_differences_are_signed_starred_by_the_corrected_p_value_and_explained(comparison):
    text = printed(comparison)
    assert line_of(text, "NLL DIFFERENCE", "A - truncated")[3:] == [
        *("-0.011*", "-0.006", "|", "+0.004", "-0.009**", "+0.206***"),
    ]
    assert "p after Holm: * below 0.05, ** below 0.01, *** below 0.001" in text
    assert "above 0 against truncated: worse than dropping the old text" in text


def test_without_p_values_a_difference_whose_interval_includes_0_is_marked(comparison):
    for row in comparison["differences"]:
        del row["p"], row["p_holm"]
    text = printed(comparison)
    assert line_of(text, "NLL DIFFERENCE", "A - truncated")[3:5] == ["-0.011", "-0.006°"]
    assert "° the interval includes 0" in text
    assert "below 0.05" not in text


def test_pairs_of_other_subjects_are_named(comparison):
    comparison["differences"] = [comparison["differences"][0] | {"first_subject": "zero_shot"}]
    assert line_of(printed(comparison), "NLL DIFFERENCE", "B zero_shot - A")[4] == "+0.011*"


def test_nll_is_not_shown_beside_perplexity_and_is_without_it(comparison):
    nll = copy.deepcopy(comparison["tables"][0]) | {"measure": "nll", "title": "NLL"}
    comparison["tables"].append(nll)
    assert "\nNLL  " not in printed(comparison)
    comparison["tables"] = [nll]
    text = printed(comparison)
    assert "\nNLL  " in text
    assert line_of(text, "NLL  ", "base")[1] == "24.100"
    assert "NLL DIFFERENCE" in text


def test_a_task_has_a_column_without_filler_and_intervals(comparison):
    lines = section(printed(comparison), "RETRIEVAL passkey")
    assert lines[1].split()[:3] == ["no", "filler", "128"]
    assert lines[4].split()[:3] == ["A", "rope_interp", "1.00"]
    assert lines[5].split()[-1] == ".10-.30"


def test_seeds_are_a_mean_and_its_deviation(many):
    text = printed(many)
    assert line_of(text, "PERPLEXITY", "A method_A")[2] == "24.61±0.62"
    assert "± standard deviation over 3 seeds" in text
    assert line_of(text, "PERPLEXITY", "base")[-1] == ">1e3"


def test_many_rows_leave_their_intervals_to_the_other_forms(many):
    for table in many["tables"]:
        for row in table["rows"]:
            for value in row["values"].values():
                del value["sd"], value["seeds"]
    lines = section(printed(many), "RETRIEVAL")
    assert len([line for line in lines if line.startswith(" ")]) == 15
    assert "intervals: --markdown, --html, --json" in lines[-1]
    assert ".87-1.00" in as_markdown(many)


def test_the_exponent_of_the_longest_text_stands_at_the_target(comparison):
    for row in comparison["cost"]:
        if row["length"] != 2048:
            del row["exponent"], row["r_squared"]
        row |= {"device": "cpu", "threads": 2, "dtype": "float32"}
    text = printed(comparison)
    assert line_of(text, "COST", "A rope_interp")[-2:] == ["1.31", "0.992"]
    assert section(text, "COST")[0] == "COST  at 1024, times of a token; device cpu, threads 2, dtype float32"


def test_the_verdict_ends_the_text_and_begins_the_markdown(comparison):
    last = printed(comparison).rpartition("\n\n")[2]
    assert " ".join(last.split()) == f"VERDICT {comparison['verdict']}"
    lines = as_markdown(comparison).splitlines()
    assert lines[2].startswith("At 1024 \\<script>")


def test_markdown_has_the_same_numbers_whole_tables_and_no_markup_of_users(comparison):
    text = as_markdown(comparison)
    assert "| A rope_interp extended | 24.61 | 23.05 | 22.40 | 22.21 | 27.90 |" in text
    assert text.replace("\\<script", "").count("<script") == 0
    for table in text.split("\n\n"):
        widths = {line.replace("\\|", "").count("|") for line in table.splitlines() if line.startswith("|")}
        assert len(widths) <= 1


def test_a_comparison_with_nothing_measured_still_prints(comparison):
    for key in ("tables", "differences", "effective_length", "cost", "export", "missing", "warnings"):
        comparison[key] = []
    text = printed(comparison)
    assert "VERDICT" in text
    for title in ("WARNING", "PERPLEXITY", "COST", "EXPORT", "MISSING"):
        assert title not in text


def test_many_rules_of_effective_length_are_split_into_tables(comparison):
    row = comparison["effective_length"][0]
    comparison["effective_length"] += [row | {"rule": f"score(0.85) task_{number}"} for number in range(5)]
    text = printed(comparison)
    assert text.count("EFFECTIVE LENGTH") == 3
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "task_4" in text


def test_many_runs_are_shown_as_they_stand(many):
    assert "zero_shot" not in " ".join(section(printed(many), "PERPLEXITY"))
    assert "A method_A zero_shot" in as_markdown(many)


def test_settings_stand_beside_the_class_that_has_them_where_there_are_many_runs(many):
    labels = [run["label"] for run in many["runs"]]
    many["config"]["differ"].append({"key": "position", "values": dict.fromkeys(labels, "Yarn") | {"A": "Rope"}})
    lines = [line.split() for line in section(printed(many), "CONFIG")]
    assert ["position", "Rope(factor", "8.0)", "A"] in lines
    assert ["Yarn(factor", "4.0)", *labels[1:]] in lines
    assert "method_A" not in " ".join(section(printed(many), "CONFIG"))


def test_reasons_that_differ_in_numbers_alone_share_a_mark(comparison):
    rows = [row for row in comparison["effective_length"] if "reason" in row]
    for row, value in zip(rows, (0.825, 0.7), strict=True):
        row["reason"] = f"no score at 128 reaches {value}"
    text = printed(comparison)
    assert "no score at 128 reaches 0.7 or 0.825" in text
    assert [line_of(text, "EFFECTIVE LENGTH", name)[-1] for name in ("A", "B")] == ["[2]", "[2]"]


def test_a_rule_that_failed_at_the_shortest_length_has_a_bound_and_no_reason(comparison):
    row = next(row for row in comparison["effective_length"] if "reason" in row)
    row["reason"] = "the score at 128 is 0, already below 0.75"
    text = printed(comparison)
    assert "< 128" in " ".join(section(text, "EFFECTIVE LENGTH"))
    assert "already below" not in text


def test_costs_are_of_the_longest_measured_length_where_the_target_was_not(comparison):
    for run in comparison["runs"]:
        run["target"] = 4096
    longest = max(row["length"] for row in comparison["cost"])
    assert f"COST  at {longest}" in printed(comparison)


def test_an_exponent_of_a_poor_fit_or_of_few_tries_is_no_number(comparison):
    for row in comparison["cost"]:
        row |= {"exponent": 1.7, "r_squared": 0.5, "repeats": 5}
    text = printed(comparison, 200)
    assert "1.7" not in "\n".join(section(text, "COST"))
    assert "timings that fit no power" in text


def test_a_long_reason_is_indented(comparison):
    comparison["missing"] = ["word " * 60]
    lines = section(printed(comparison, 80), "MISSING")
    assert lines[-1].startswith("     word")
