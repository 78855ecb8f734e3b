import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from ctxext.reporting.chart import AMOUNT, SHARE, Chart, Series, drawn, swatch, ticks
from ctxext.reporting.pictures import charts


def series(values, look="0", mark="A", width=0.0, name="A yarn"):
    return Series(name, mark, look, [(length, value, value - width, value + width) for length, value in values.items()])


def chart(*lines, **more):
    return Chart("Perplexity by length", "perplexity", lines, 256, [1024], **more)


@pytest.fixture
def plain():
    return chart(series({128: 24.0, 256: 23.0, 512: 22.0, 1024: 21.0}, width=1.0))


def test_doublings_are_equally_far_apart(plain):
    places = [plain.across(length) for length in (128, 256, 512, 1024)]
    steps = [after - before for before, after in pairwise(places)]
    assert steps == pytest.approx([steps[0]] * 3)
    assert steps[0] > 0


def test_no_filler_stands_one_doubling_before_the_shortest_length():
    found = chart(series({0: 1.0, 128: 0.9, 256: 0.8}))
    assert found.across(128) - found.across(0) == pytest.approx(found.across(256) - found.across(128))


def test_higher_values_stand_higher_on_either_axis(plain):
    assert plain.down(22) > plain.down(23)
    wide = chart(series({128: 1.0, 256: 10.0, 512: 100.0}))
    assert wide.is_logarithmic
    assert wide.down(1) - wide.down(10) == pytest.approx(wide.down(10) - wide.down(100))


def test_shares_fill_the_axis_from_0_to_1_and_amounts_begin_at_0():
    assert chart(series({128: 0.4, 256: 0.5}), kind=SHARE).limits == (0.0, 1.0)
    low, high = chart(series({128: 4.0, 256: 5.0}), kind=AMOUNT).limits
    assert low == 0
    assert 5 < high < 6


def test_a_base_that_breaks_leaves_the_picture_and_this_is_said():
    broken = series({128: 24.0, 256: 23.0, 512: 61.0, 1024: 3200.0}, look="base", mark="", name="base")
    found = chart(broken, series({128: 24.5, 256: 23.5, 512: 23.0, 1024: 22.0}))
    assert found.limits[1] < 30
    assert found.outside == ["base leaves the picture at 512 (61)"]
    assert 'clip-path="url(#picture1-frame)"' in drawn(found, 1)


def test_a_base_that_holds_is_shown_whole():
    found = chart(series({128: 24.0, 256: 30.0}, look="base"), series({128: 24.5, 256: 23.5}))
    assert found.outside == []
    assert found.limits[1] > 30


@pytest.mark.parametrize(
    "values", [{128: 1.0, 256: 2.0}, {128: 3.1e-5, 256: 9.7e-5}, {128: 5.0, 256: 90.0}, {128: 7.0}]
)
def test_ticks_are_a_few_rising_values_within_the_limits(values):
    found = chart(series(values))
    marks, (low, high) = ticks(found), found.limits
    assert 2 <= len(marks) <= 10
    assert marks == sorted(marks)
    assert all(low <= mark <= high for mark in marks)


def test_a_picture_is_well_formed_with_each_point_its_interval_and_its_numbers(plain):
    root = ElementTree.fromstring(drawn(plain, 3))
    assert root.get("aria-labelledby") == "picture3-title picture3-text"
    titles = [element.text for element in root.iter("title")]
    assert titles[0] == "Perplexity by length"
    assert "A yarn at 256: 23 (22 to 24)" in titles
    assert len([path for path in root.iter("path") if path.get("class") == "bar"]) == 4
    texts = [element.text for element in root.iter("text")]
    for word in ("128", "1024", "trained", "target", "A", "length (tokens)"):
        assert word in texts


def test_the_chance_level_is_drawn():
    found = drawn(chart(series({128: 0.4, 256: 0.5}), kind=SHARE, chance=0.1), 1)
    assert ">chance<" in found


def test_names_are_never_markup():
    found = drawn(chart(series({128: 1.0, 256: 2.0}, name="<b>", mark="<i>")), 1)
    assert "<b>" not in found
    assert "<i>" not in found
    ElementTree.fromstring(found)


def test_letters_at_the_ends_never_overlap_and_stay_in_the_picture():
    many = [series({128: 24.0, 256: 23.0 + index / 100}, look=str(index), mark=f"R{index}") for index in range(15)]
    found = re.findall(r'class="letter[^"]*" x="[\d.]+" y="([\d.-]+)"', drawn(chart(*many), 1))
    places = sorted(float(place) for place in found)
    assert len(places) == 15
    assert min(after - before for before, after in pairwise(places)) >= 10.9
    assert places[0] > 0
    assert places[-1] < 290


def test_fifteen_runs_look_different():
    looks = {(line.colour, line.marker, line.dashes) for line in (series({1: 1.0}, look=str(n)) for n in range(15))}
    assert len(looks) == 15


def test_a_swatch_is_well_formed_and_in_the_colour_of_its_line():
    assert 'class="run2"' in swatch(series({1: 1.0}, look="2"))
    ElementTree.fromstring(swatch(series({1: 1.0}, look="truncated")))


def test_runs_on_other_data_have_pictures_of_their_own_with_their_own_controls(comparison):
    table = next(table for table in comparison["tables"] if table["measure"] == "perplexity")
    own = [row | {"run": "A"} if not row["run"] else row for row in table["rows"]]
    apart = comparison | {"same": [], "tables": [table | {"rows": own}], "cost": []}
    shown = list(charts(apart))
    assert [chart.title.rpartition(", ")[2][0] for chart in shown] == ["A", "B"]
    assert [series.name for series in shown[0].series][:2] == ["base", "truncated"]
    assert "base" not in [series.name for series in shown[1].series]
    assert len(list(charts(apart | {"same": ["data"]}))) == 1
