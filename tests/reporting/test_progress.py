import sys

from ctxext.reporting import progress
from ctxext.reporting.progress import MeasureLine, StepLine, clock, left_out, waiting, watched


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


def row(step):
    return {"step": step, "loss": 3.214, "learning_rate": 2.7e-4, "grad_norm": 0.84, "tokens": 4096, "seconds": 0.33}


def test_a_log_gets_a_line_every_ten_seconds_and_one_at_the_end(monkeypatch, capsys):
    time = Clock()
    monkeypatch.setattr(progress, "time", time)
    line = StepLine(1, 100)
    for step in range(1, 101):
        time.now += 0.5
        line.show(row(step))
    line.end()
    lines = capsys.readouterr().err.splitlines()
    assert [text.split()[1] for text in lines] == ["20/100", "40/100", "60/100", "80/100", "100/100"]
    assert lines[0] == "train 20/100  20%  loss 3.214 lr 2.7e-04 grad 0.84 12.4k tok/s eta 0:40"


def test_the_first_ten_steps_do_not_count_for_the_time_that_is_left(monkeypatch):
    time = Clock()
    monkeypatch.setattr(progress, "time", time)
    line = StepLine(51, 100)
    for step in range(51, 61):
        time.now += 60
        assert line.remaining(step, time.now) == "eta -:--"
    assert line.remaining(61, time.now + 2) == "eta 1:18"


def test_numbers_that_a_step_lacks_are_not_shown(capsys):
    line = StepLine(1, 1)
    line.show({"step": 1, "loss": 2.0})
    assert capsys.readouterr().err == "train 1/1 100%  loss 2.000 eta -:--\n"


def test_on_a_terminal_the_line_is_rewritten_in_place(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    line = StepLine(1, 3)
    for step in (1, 2, 3):
        line.show(row(step))
    line.end()
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert written.count("\r") >= 3
    assert "train 3/3 100%" in written
    assert "loss 3.214" in written


def test_watching_says_how_many_there_were_and_passes_them_on(capsys):
    assert list(watched(range(3), "encode", None)) == [0, 1, 2]
    assert capsys.readouterr().err == "encode 3 in 0:00\n"


def test_the_clock_counts_minutes_and_seconds():
    assert [clock(0.4), clock(59.6), clock(3723)] == ["0:00", "1:00", "62:03"]


def test_a_log_gets_a_line_when_a_length_is_done_and_every_ten_seconds_within_it(monkeypatch, capsys):
    time = Clock()
    monkeypatch.setattr(progress, "time", time)
    line = MeasureLine("eval   extended")
    line.begin("1024")
    for done in range(60):
        line.count(done, 60)
        line.tick()
        time.now += 0.4
    line.end("perplexity 22.2  60 documents")
    line.begin("cost")
    line.tick()
    line.end("")
    line.close()
    assert capsys.readouterr().err.splitlines() == [
        "eval   extended  1024  25/60  0:10",
        "eval   extended  1024  50/60  0:20",
        "eval   extended  1024  perplexity 22.2  60 documents  0:24",
        "eval   extended  cost  0:00",
    ]


def test_on_a_terminal_the_line_of_a_measurement_is_rewritten_in_place(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    line = MeasureLine("eval   base")
    for length in ("128", "256"):
        line.begin(length)
        line.count(1, 2)
        line.tick()
        line.end("perplexity 9.1")
    line.close()
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert "eval   base  128  1/2  0:00" in written
    assert "eval   base  256  perplexity 9.1  0:00" in written


def test_waiting_for_data_is_told_above_a_hundredth_of_the_time():
    def rows(waited):
        return [row(1), row(2) | {"seconds": 3.0, "waited": 0.0}, row(3) | {"seconds": 1.0, "waited": waited}]

    assert waiting(rows(0.06)) == "1.5% of the steps' time was spent waiting for data"
    assert waiting(rows(0.04)) == waiting([row(1)]) == waiting([]) == ""


def test_steps_that_changed_nothing_are_counted_and_the_first_are_named():
    rows = [row(step) | ({"skipped": "the loss is nan"} if step % 2 else {}) for step in range(1, 15)]

    said = "steps changed nothing, their loss or gradient was not finite: "
    assert left_out(rows) == f"7 {said}1, 3, 5, 7, 9, ..."
    assert left_out(rows[:4]) == f"2 {said}1, 3"
    assert left_out([row(1)]) == left_out([]) == ""
