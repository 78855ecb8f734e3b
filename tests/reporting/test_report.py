import re

from ctxext.evaluation.results import Results
from ctxext.reporting.report import write_report


def test_the_report_has_command_protocol_tables_and_reasons(results, tmp_path):
    text = write_report(results, tmp_path).read_text(encoding="utf-8")
    assert text.startswith("# rope_interp\n\nTrained at 256 tokens, extended to 1024 (4 times)")
    assert "| command | ctxext train +method=rope_interp |" in text
    assert "| versions.torch | 2.13.0 |" in text
    assert "| perplexity | exp of the mean nll |" in text
    assert "| extended | 24.61 | 23.05 | 22.40 | 22.21 | 27.90 |" in text
    assert "out of memory at batch 1" in text


def test_every_picture_that_it_shows_is_beside_it(results, tmp_path):
    text = write_report(results, tmp_path).read_text(encoding="utf-8")
    shown = re.findall(r"!\[\w+\]\((.+)\)", text)
    assert shown == ["plots/perplexity.png", "plots/position.png", "plots/tasks.png", "plots/passkey.png"]
    assert all((tmp_path / path).is_file() for path in shown)


def test_it_is_made_from_the_saved_file_alone(results, tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    results.save(tmp_path / "here" / "results.json")
    loaded = Results.load(tmp_path / "here" / "results.json")
    here, there = write_report(results, tmp_path / "here"), write_report(loaded, tmp_path / "there")
    assert here.read_bytes() == there.read_bytes()


def test_samples_are_shown_as_plain_text(content, tmp_path):
    row = {"subject": "extended", "application": "generation", "group": "all", "metric": "distinct-2", "length": 512}
    samples = [{"source": "Once", "target": "upon", "prediction": "<b>upon\n# a time"}]
    rows = [row | {"length": length, "value": 0.8, "n": 3, "samples": samples} for length in (256, 512)]
    content["applications"] = rows
    text = write_report(Results(**content), tmp_path).read_text(encoding="utf-8")
    assert (
        "## Samples\n\n**generation, extended at 512**\n\n    Once\n    → upon\n\n    <b>upon\n    # a time\n" in text
    )
    assert text.count("<b>upon") == 1
