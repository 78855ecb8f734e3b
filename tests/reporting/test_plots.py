from ctxext.evaluation.results import Results
from ctxext.reporting import panels, plots

PNG = b"\x89PNG\r\n\x1a\n"


def test_each_picture_is_a_png_and_is_named(results, tmp_path):
    made = plots.draw(results, tmp_path / "plots")
    assert [path.name for path in made] == ["perplexity.png", "position.png", "tasks.png", "passkey.png"]
    assert all(path.read_bytes().startswith(PNG) for path in made)


def test_without_data_there_is_no_picture_and_no_folder(content, tmp_path):
    empty = Results(**content | {"by_length": [], "by_position": [], "tasks": []})
    assert plots.draw(empty, tmp_path / "plots") == []
    assert not (tmp_path / "plots").exists()


def test_totals_alone_make_no_map(content, tmp_path):
    content["tasks"] = [row for row in content["tasks"] if row["depth"] == "all"]
    assert [path.stem for path in plots.draw(Results(**content), tmp_path)] == ["perplexity", "position", "tasks"]


def test_perplexity_is_drawn_at_its_lengths_with_its_interval(results):
    axes = plots.perplexity(results).axes[0]
    drawn = {container.get_label(): container for container in axes.containers}
    assert list(drawn) == ["base", "truncated", "zero_shot", "extended"]
    assert list(drawn["zero_shot"].lines[0].get_xdata()) == [128, 256, 512, 1024]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["128", "256", "512", "1024", "2048"]
    bars = drawn["extended"].lines[2][0].get_segments()
    point = results.curve("extended", "perplexity")[0]
    assert [round(float(y), 6) for _, y in bars[0]] == [round(point.low, 6), round(point.high, 6)]


def test_a_small_range_of_perplexity_is_drawn_on_a_linear_axis(content):
    content["by_length"] = [row for row in content["by_length"] if row["subject"] == "truncated"]
    assert plots.perplexity(Results(**content)).axes[0].get_yscale() == "linear"


def test_the_map_has_a_cell_for_each_depth_and_length_and_leaves_unmeasured_ones_blank(results):
    panels = {axes.get_title(): axes for axes in plots.depth_map(results, "passkey").axes if axes.get_title()}
    grid = panels["zero_shot"].images[0].get_array()
    assert grid.shape == (5, 5)
    assert grid.mask[:, -1].all()
    assert not grid.mask[:, :-1].any()
    assert [text.get_text() for text in panels["extended"].texts][:5] == ["1", "1", ".88", ".88", ".12"]


def test_drawing_leaves_the_user_s_style_alone_and_equal_data_give_equal_bytes(results):
    import matplotlib

    first = plots.png(plots.position(results))
    with matplotlib.rc_context({"axes.facecolor": "red", "savefig.facecolor": "red", "savefig.dpi": 30}):
        assert plots.png(plots.position(results)) == first
        assert matplotlib.rcParams["axes.facecolor"] == "red"


def test_each_task_has_a_panel_with_its_chance_level_and_no_filler_at_the_left(content):
    rows = [row | {"task": "niah_single"} for row in content["tasks"]]
    content["tasks"] += [*rows, rows[5] | {"length": 0}]
    first, second = panels.scores(Results(**content)).axes
    assert (first.get_title(), second.get_title()) == ("passkey", "niah_single")
    assert [tick.get_text() for tick in second.get_xticklabels()][:3] == ["0", "128", "256"]
    assert list(second.get_xticks())[:3] == [64, 128, 256]
    assert [list(line.get_ydata()) for line in first.lines if list(line.get_ydata()) == [0.1, 0.1]]


def test_each_kind_of_cost_has_a_panel_from_0(content):
    assert panels.costs(Results(**content)) == []
    content["cost"] = [
        {"subject": "extended", "length": length, "ms_per_token": length / 1000, "peak_bytes": 6e8}
        for length in (256, 1024)
    ]
    results = Results(**content)
    shown = panels.cost(results).axes
    assert [axes.get_title() for axes in shown] == ["prefill ms a token", "peak GB"]
    assert all(axes.get_ylim()[0] == 0 for axes in shown)
    assert list(shown[0].lines[0].get_ydata()) == [0.256, 1.024]
    assert "cost" in [name for name, _ in plots.figures(results)]
