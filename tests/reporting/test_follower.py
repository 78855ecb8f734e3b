"""A process that another one speaks for tells nobody, and writes nothing."""

from ctxext.reporting.follower import Follower


def test_a_follower_leaves_no_word_and_no_file(tmp_path, capfd):
    folder = tmp_path / "run"
    with Follower(folder, "a") as journal:
        journal.say("a word")
        journal.table("a table")
        assert list(journal.watch([1, 2], "rows", 2)) == [1, 2]
        with journal.steps(1, 2) as line:
            for step in (1, 2):
                journal.log_step({"step": step, "loss": 1.0})
                line.show({"step": step, "loss": 1.0})
        with journal.measuring("eval") as line:
            line.begin("1024")
            line.count(1, 2)
            line.tick()
            line.end("found")
        journal.settle()

    assert capfd.readouterr() == ("", "")
    assert not folder.exists()


def test_it_remembers_the_steps_that_count(tmp_path):
    journal = Follower(tmp_path, "a")
    for step in (1, 2, 3):
        journal.log_step({"step": step})

    journal.truncate(2)

    assert [row["step"] for row in journal.rows()] == [1, 2]
