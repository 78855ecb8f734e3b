import errno
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata

from ctxext.evaluation.results import SUBJECTS, Results
from ctxext.refusal import Refusal
from ctxext.reporting.journal import Journal
from ctxext.reporting.scalars import HYPERPARAMETERS, SHOWN_FIRST, TARGET_TAGS, at_target


def row(step, loss=3.0):
    return {"step": step, "loss": loss, "learning_rate": 1e-3, "grad_norm": 0.8, "tokens": 4096, "seconds": 0.5} | {
        "samples": [step, step + 1]
    }


def read(folder):
    return EventAccumulator(str(folder), {"scalars": 0, "tensors": 0}).Reload()


def steps_of(accumulator, tag):
    return [event.step for event in accumulator.Scalars(tag)]


def write_steps(journal, first, last, loss=3.0):
    for step in range(first, last + 1):
        journal.log_step(row(step, loss))


def test_a_step_is_a_line_of_metrics_and_the_same_scalars(tmp_path):
    with Journal(tmp_path, "n") as journal:
        journal.log_step(row(1))
        journal.log_step(row(2) | {"during/nll/1024": 3.5, "waited": 0.125})
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[0] == row(1)
    accumulator = read(tmp_path)
    assert steps_of(accumulator, "train/loss") == [1, 2]
    assert accumulator.Scalars("train/tokens_per_second")[0].value == 8192
    assert steps_of(accumulator, "during/nll/1024") == [2]
    assert [(event.step, event.value) for event in accumulator.Scalars("train/waiting_share")] == [(2, 0.25)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_absent_and_noted(tmp_path, capsys, value):
    with Journal(tmp_path, "n") as journal:
        journal.log_step(row(1, loss=value))
    (line,) = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert "loss" not in line
    assert line["note"] == f"loss was {value}"
    assert "train/loss" not in read(tmp_path).Tags()["scalars"]
    assert f"step 1: loss was {value}" in capsys.readouterr().out


def test_after_truncation_no_step_is_met_twice_and_the_later_value_stands(tmp_path):
    with Journal(tmp_path, "n") as journal:
        write_steps(journal, 1, 30, loss=5.0)
    with Journal(tmp_path, "n") as journal:
        journal.truncate(20)
        write_steps(journal, 21, 40, loss=2.0)
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 41))
    events = read(tmp_path).Scalars("train/loss")
    assert [event.step for event in events] == steps
    assert [event.value for event in events] == [5.0] * 20 + [2.0] * 20


def test_a_reader_that_is_open_during_a_resume_meets_no_step_twice(tmp_path):
    with Journal(tmp_path, "n") as journal:
        write_steps(journal, 1, 30)
    (path,) = tmp_path.glob("events.out.tfevents.*")
    path.rename(tmp_path / "events.out.tfevents.1000000000.an-hour-ago")
    watching = read(tmp_path)
    assert steps_of(watching, "train/loss") == list(range(1, 31))
    with Journal(tmp_path, "n") as journal:
        journal.truncate(20)
        write_steps(journal, 21, 25)
    assert steps_of(watching.Reload(), "train/loss") == list(range(1, 26))


def test_truncation_drops_a_line_that_was_cut_off_and_makes_nothing_of_an_empty_folder(tmp_path):
    with Journal(tmp_path, "n") as journal:
        journal.truncate(0)
        assert not (tmp_path / "metrics.jsonl").exists()
        write_steps(journal, 1, 3)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    with Journal(tmp_path, "n") as journal:
        journal.truncate(10)
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [1, 2, 3]


def test_curves_over_length_have_the_length_as_step(results, tmp_path):
    with Journal(tmp_path, "n") as journal:
        journal.results(results, {})
    accumulator = read(tmp_path)
    assert steps_of(accumulator, "by_length/perplexity/extended") == [128, 256, 512, 1024, 2048]
    assert steps_of(accumulator, "by_length/perplexity/zero_shot") == [128, 256, 512, 1024]
    assert steps_of(accumulator, "by_position/nll/base") == [128, 256, 512, 1024, 2048]
    values = [event.value for event in accumulator.Scalars("task/passkey/extended")]
    assert values == pytest.approx([1.0, 1.0, 0.975, 0.95, 0.2])


def test_curves_have_no_point_without_filler(content, tmp_path):
    row = next(row for row in content["tasks"] if row["depth"] == "all") | {"length": 0, "subject": "extended"}
    content["tasks"].append(row)
    with Journal(tmp_path, "n") as journal:
        journal.results(Results(**content), {})
    assert steps_of(read(tmp_path), "task/passkey/extended") == [128, 256, 512, 1024, 2048]


def test_a_run_with_everything_has_at_most_about_sixty_tags(content, tmp_path):
    tasks = [row | {"task": f"task_{number}"} for number in range(12) for row in content["tasks"]]
    content["tasks"] += tasks
    content["cost"] = [
        {"subject": subject, "length": length, "ms_per_token": 0.2, "decode_ms_per_token": 0.3, "peak_bytes": 10}
        for subject in SUBJECTS
        for length in (128, 1024)
    ]
    content["applications"] = [
        {"subject": subject, "application": "translation", "group": group, "metric": metric, "length": 512}
        | {"value": 20.0, "n": 30, "low": 10.0, "high": 30.0}
        for subject in SUBJECTS
        for group in ("en-de", "de-en")
        for metric in ("BLEU", "chrF", "TER")
    ]
    with Journal(tmp_path, "n") as journal:
        journal.log_step(row(1) | {"accuracy": 0.5, "waited": 0.1, "during/nll/256": 3.0, "during/nll/1024": 3.0})
        journal.results(Results(**content), {})
    tags = read(tmp_path).Tags()
    count = sum(len(tags[kind]) for kind in ("scalars", "images", "tensors"))
    assert 40 < count <= 64
    for name in ("task/passkey", "task/task_11", "application/translation/en-de/BLEU"):
        assert f"{name}/extended" in tags["scalars"]


def test_every_chart_of_the_custom_page_has_tags(results, tmp_path):
    with Journal(tmp_path, "n") as journal:
        journal.results(results, {})
    accumulator = read(tmp_path)
    known = accumulator.Tags()["scalars"]
    (event,) = accumulator.Tensors("custom_scalars__config__")
    page = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    charts = {chart.title: chart for category in page.category for chart in category.chart}
    assert list(charts)[:3] == ["nll", "nll with 95% intervals, of the method and truncated", "perplexity"]
    for chart in charts.values():
        assert all(any(re.fullmatch(pattern, tag) for tag in known) for pattern in chart.multiline.tag)
        for series in chart.margin.series:
            assert {series.value, series.lower, series.upper} <= set(known)
    margins = [chart for chart in charts.values() if chart.margin.series]
    assert [series.value for series in margins[0].margin.series] == ["interval/nll/method", "interval/nll/truncated"]


def test_a_run_without_training_shares_its_columns_with_those_that_were_trained(content, tmp_path):
    for section in ("by_length", "tasks", "effective_length"):
        content[section] = [row for row in content[section] if row["subject"] != "extended"]
    with Journal(tmp_path, "n") as journal:
        journal.results(Results(**content), {})
    accumulator = read(tmp_path)
    assert accumulator.Scalars("target/nll/method")[0].value == pytest.approx(math.log(33.1))
    assert accumulator.Scalars("interval/nll/method")[0].value == pytest.approx(math.log(31.52))


def test_files_do_not_pile_up_with_each_resume(tmp_path):
    for last in range(3, 8):
        with Journal(tmp_path, "n") as journal:
            journal.truncate(last - 1)
            write_steps(journal, last, last)
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) <= 2
    assert steps_of(read(tmp_path), "train/loss") == [3, 4, 5, 6, 7]


def test_a_later_evaluation_after_a_resume_replaces_the_earlier_one(results, tmp_path):
    for _ in range(2):
        with Journal(tmp_path, "n") as journal:
            journal.truncate(400)
            journal.results(results, {})
    assert steps_of(read(tmp_path), "by_length/nll/base") == [128, 256, 512, 1024, 2048]


def test_the_map_the_table_and_the_run_table_are_in_the_one_event_file(results, tmp_path):
    with Journal(tmp_path, "n") as journal:
        write_steps(journal, 1, 2)
        journal.results(results, {"context_length": 1024, "method": "rope_interp"})
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 1
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
    accumulator = read(tmp_path)
    (image,) = accumulator.Images("map/passkey")
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert image.width > image.height > 100
    (text,) = accumulator.Tensors("results")
    assert b"| extended | 24.61 |" in text.tensor_proto.string_val[0]
    (verdict,) = accumulator.Tensors("verdict")
    assert b"dropping the old text" in verdict.tensor_proto.string_val[0]
    contents = accumulator.PluginTagToContent("hparams")
    start = metadata.parse_session_start_info_plugin_data(contents[metadata.SESSION_START_INFO_TAG])
    assert sorted(start.hparams) == sorted(HYPERPARAMETERS)
    assert start.hparams["context_length"].number_value == 1024
    assert start.hparams["name"].string_value == "n"
    assert start.hparams["mask"].string_value == "-"
    metadata.parse_session_end_info_plugin_data(contents[metadata.SESSION_END_INFO_TAG])
    experiment = metadata.parse_experiment_plugin_data(contents[metadata.EXPERIMENT_TAG])
    tags = [info.name.tag for info in experiment.metric_infos]
    assert tags == TARGET_TAGS
    assert set(tags) - {"target/ms_per_token/method"} <= set(accumulator.Tags()["scalars"])
    assert {info.name for info in experiment.hparam_infos if info.differs} == set(SHOWN_FIRST)


def test_key_results_are_those_at_the_target_length(results, tmp_path):
    with Journal(tmp_path, "n") as journal:
        journal.results(results, {})
    (event,) = read(tmp_path).Scalars("target/passkey/method")
    assert (event.step, event.value) == (1024, pytest.approx(0.95))


def test_an_unknown_hyperparameter_is_a_programming_error(results, tmp_path):
    with Journal(tmp_path, "n") as journal, pytest.raises(AssertionError, match="stepz"):
        journal.results(results, {"stepz": 3})


def test_a_journal_without_numbers_makes_no_file(tmp_path, capsys):
    with Journal(tmp_path / "run", "n") as journal:
        journal.say("prepared [60 documents]")
        journal.table(Table("a"))
        assert list(journal.watch(iter("ab"), "read", 2)) == ["a", "b"]
    assert not (tmp_path / "run").exists()
    captured = capsys.readouterr()
    assert "prepared [60 documents]" in captured.out
    assert captured.err.startswith("read 2/2 in 0:00")


def test_reporting_imports_neither_torch_nor_matplotlib():
    heavy = "{'torch', 'transformers', 'datasets', 'matplotlib', 'tensorflow'}"
    code = f"import sys, ctxext.reporting.journal, ctxext.reporting.report; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_first_rule_of_the_configuration_is_the_one_in_the_run_table(content):
    content["protocol"] |= {"effective_length nll(0.05)": "words", "effective_length nll(0.02)": "words"}
    rows = content["effective_length"]
    rows[:0] = [row | {"rule": "nll(0.02)", "length": 128, "low": 128} for row in rows]
    assert at_target(Results(**content))["target/effective_length/method"] == 1024.0
    content["effective_length"] = [row for row in rows if (row["subject"], row["rule"]) != ("extended", "nll(0.05)")]
    assert "target/effective_length/method" not in at_target(Results(**content))


def test_a_note_stands_beside_the_step_and_is_said(tmp_path, capsys):
    with Journal(tmp_path, "a") as journal:
        journal.log_step(row(1) | {"note": "a spike"})
        journal.log_step(row(2, math.nan) | {"note": "a spike"})
        journal.log_step(row(3))

    assert [found.get("note") for found in journal.rows()] == ["a spike", "loss was nan, a spike", None]
    assert capsys.readouterr().out == "step 1: a spike\nstep 2: loss was nan, a spike\n"


@pytest.mark.parametrize("line", ["\0\0\0\n", '{"step": 3, "lo\n', "[3]\n", '{"loss": 1.0}\n'])
def test_a_line_that_a_failing_disk_left_unreadable_is_refused_and_never_lost(line, tmp_path):
    with Journal(tmp_path, "a") as journal:
        for step in (1, 2):
            journal.log_step(row(step))
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text(metrics.read_text() + line + json.dumps(row(4)) + "\n")
    before = metrics.read_bytes()

    for read in (lambda: list(journal.rows()), lambda: journal.truncate(4)):
        with pytest.raises(Refusal, match=r"metrics\.jsonl:3: must be a JSON object with a step; mend the line"):
            read()
    assert metrics.read_bytes() == before
    with Journal(tmp_path, "a") as journal:
        journal.truncate(2)  # what comes after the step that was saved is dropped anyway
    assert [json.loads(line)["step"] for line in metrics.read_text().splitlines()] == [1, 2]


def test_a_last_line_that_was_cut_off_is_dropped(tmp_path):
    with Journal(tmp_path, "a") as journal:
        for step in (1, 2):
            journal.log_step(row(step))
        metrics = tmp_path / "metrics.jsonl"
        metrics.write_text(metrics.read_text() + json.dumps(row(3)))
        assert [found["step"] for found in journal.rows()] == [1, 2]
        journal.truncate(3)
    assert [json.loads(line)["step"] for line in metrics.read_text().splitlines()] == [1, 2]


def test_what_is_settled_was_flushed_to_the_disk(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda number: flushed.append(Path(f"/proc/self/fd/{number}").readlink()))
    with Journal(tmp_path, "a") as journal:
        journal.log_step(row(1))
        assert not flushed
        journal.settle()

    assert flushed == [tmp_path / "metrics.jsonl", tmp_path], "the name in the folder may be new, too"


LIMITED = """
import json, resource, sys
from pathlib import Path
from ctxext.reporting.journal import Journal
try:
    with Journal(Path(sys.argv[1]), "a") as journal:
        journal.log_step(json.loads(sys.argv[2]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
        for step in range(2, 400):
            journal.log_step({**json.loads(sys.argv[2]), "step": step})
except OSError as error:
    print(error.errno, error.filename)
"""


def test_on_a_full_disk_the_error_names_the_file_and_no_thread_complains(tmp_path):
    words = [sys.executable, "-c", LIMITED, str(tmp_path), json.dumps(row(1))]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60)

    assert ended.stdout == f"{errno.EFBIG} {tmp_path / 'metrics.jsonl'}\n"
    assert ended.stderr == ""
