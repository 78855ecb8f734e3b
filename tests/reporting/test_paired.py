from ctxext.reporting.block import DASH
from ctxext.reporting.paired import at_one_length, difference, paired, second_name


def test_of_few_runs_each_pair_is_a_row_of_all_lengths(comparison):
    block = paired(comparison, comparison["tables"][0])
    assert block.title == "NLL DIFFERENCE"
    assert [row[0] for row in block.rows] == ["B - A", "A - truncated", "B - truncated"]
    assert block.header == ["", "128", "256", "512", "1024*", "2048"]
    assert block.rows[1][1:3] == ["-0.011*", "-0.006"]
    assert block.beyond == 3


def test_of_many_runs_each_is_a_row_and_what_it_is_compared_with_a_column_at_the_target(many):
    block = at_one_length(many, many["tables"][0])
    assert block.title == "NLL DIFFERENCE at 1024"
    assert block.header == ["", "- A", "- truncated"]
    assert block.rows[0] == ["B method_B", "+0.009**", "+0.009**"]
    assert block.rows[-1] == ["A method_A", DASH, "-0.009**"]
    assert "other lengths: --markdown" in block.foot


def test_where_the_target_has_no_difference_the_longest_length_stands(many):
    many["differences"] = [row for row in many["differences"] if row["length"] <= 512]
    assert at_one_length(many, many["tables"][0]).title.endswith(" at 512")


def test_a_measure_without_differences_has_no_rows(many):
    many["differences"] = []
    assert at_one_length(many, many["tables"][0]).rows == []


def test_a_difference_without_p_is_marked_where_its_interval_includes_0():
    row = {"difference": 0.1, "low": -0.1, "high": 0.3}
    assert difference(row) == "+0.100°"
    assert difference(row | {"low": 0.01}) == "+0.100"
    assert difference(row | {"p_holm": 0.0005}) == "+0.100***"


def test_what_is_subtracted_is_a_letter_unless_its_subject_is_another(comparison):
    row = comparison["differences"][0]
    assert second_name(comparison, row) == "A"
    assert second_name(comparison, row | {"second_subject": "zero_shot"}) == "A zero_shot"
    assert second_name(comparison, row | {"second_subject": "truncated"}) == "truncated"
