from ctxext.reporting.block import DASH
from ctxext.reporting.metrics import application_block


def table(group, metric, values, **more):
    rows = [
        {"run": "A", "subject": subject, "values": {str(length): value for length, value in found.items()}}
        for subject, found in values.items()
    ]
    lengths = sorted({length for found in values.values() for length in found})
    names = {"application": "translation", "group": group, "metric": metric, "measure": f"translation/{group}/{metric}"}
    return names | {"lengths": lengths, "rows": rows} | more


def block_of(*tables):
    return application_block(
        list(tables), lambda row: row["subject"], lambda _, row, length: str(row["values"].get(length, DASH))
    )


def test_groups_are_rows_metrics_are_columns_and_a_group_that_was_held_out_says_so():
    made = [
        table(group, metric, {"base": {512: value}, "extended": {512: value + 1}}, **more)
        for group, more in (("en-de", {}), ("de-en", {"held_out": True}))
        for metric, value in (("bleu", 10), ("chrf", 30))
    ]
    block = block_of(*made)
    assert (block.title, block.note) == ("TRANSLATION", "at 512")
    assert block.header == ["", "bleu", "chrf"]
    assert block.rows == [
        ["en-de, base", "10", "30"],
        ["en-de, extended", "11", "31"],
        ["de-en (never trained on), base", "10", "30"],
        ["de-en (never trained on), extended", "11", "31"],
    ]


def test_of_several_lengths_each_has_its_row_and_one_without_values_has_none():
    block = block_of(table("all", "f1", {"base": {256: 1}, "extended": {256: 2, 512: 3}}))
    assert block.rows == [["base, 256", "1"], ["extended, 256", "2"], ["extended, 512", "3"]]
