from dataclasses import dataclass

import pytest

from ctxext.refusal import Refusal, check_types, fits, nearest, require, spelt


def test_the_nearest_known_word_is_suggested_and_none_where_none_is_near():
    assert nearest("yran", ["rope", "yarn"]) == "; did you mean 'yarn'?"
    assert nearest("xxxx", ["rope", "yarn"]) == ""
    assert nearest("nonexist", ["nope", "rope"]) == ""
    assert nearest("fh", ["gguf", "hf"]) == "; did you mean 'hf'?"


def test_a_rule_that_does_not_hold_is_refused_with_its_sentence():
    require(True, "never said")
    with pytest.raises(Refusal, match=r"^said$"):
        require(False, "said")


@dataclass(frozen=True)
class Settings:
    name: str
    count: int
    share: float
    lengths: list[int]
    limit: int | str


def test_fitting_settings_pass_and_a_whole_number_is_a_number():
    check_types(Settings("a", 1, 2, [1, 2], 3), "trainer")
    check_types(Settings("a", 1, 2.5, [], "none"), "trainer")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": 1}, "trainer.name must be a text, got 1"),
        ({"count": "abc"}, "trainer.count must be a whole number, got 'abc'"),
        ({"count": 1.5}, "trainer.count must be a whole number, got 1.5"),
        ({"count": True}, "trainer.count must be a whole number, got True"),
        ({"share": True}, "trainer.share must be a number, got True"),
        ({"share": None}, "trainer.share must be a number, got None"),
        ({"lengths": [1, "b"]}, "trainer.lengths must be a list, each a whole number, got [1, 'b']"),
        ({"lengths": 5}, "trainer.lengths must be a list, each a whole number, got 5"),
        ({"limit": 1.5}, "trainer.limit must be a whole number or a text, got 1.5"),
    ],
)
def test_a_value_of_another_type_is_refused_by_place_rule_and_value(change, sentence):
    fitting = {"name": "a", "count": 1, "share": 2.0, "lengths": [1], "limit": 3}
    with pytest.raises(Refusal) as refused:
        check_types(Settings(**(fitting | change)), "trainer")
    assert str(refused.value) == sentence


def test_a_bool_fits_a_bool_and_null_fits_only_where_it_may_stand():
    assert fits(True, bool)
    assert not fits(1, bool)
    assert fits(None, int | None)
    assert not fits(None, int)
    assert spelt(int | None) == "a whole number or null"
    assert spelt(bool) == "true or false"


def test_a_tuple_of_any_length_is_a_list_in_the_user_s_words():
    assert fits((1, 2.5), tuple[float, ...])
    assert fits([1, 2.5], tuple[float, ...])
    assert not fits((1, "b"), tuple[float, ...])
    assert not fits(1.0, tuple[float, ...])
    assert spelt(tuple[float, ...]) == "a list, each a number"
