import re
from collections import Counter
from dataclasses import replace

import pytest

from ctxext.maths.counted import generator
from ctxext.refusal import Refusal
from ctxext.tasks.needles import Needles, drawn_names
from ctxext.tasks.recall import NAMES
from ctxext.tasks.samples import Place

ONE = Needles(keys=1, values=1, queries=1, haystack="text", kind="words")
STATED = re.compile(r" The code of ([A-Z]\w+(?: [A-Z]\w+)*) is (\w+(?: \w+)?)\.")
KINDS = pytest.mark.parametrize("kind", ["words", "numbers"])
HAYSTACKS = pytest.mark.parametrize("haystack", ["filler", "text", "repeat", "needle"])


def samples(task, material, length=700, count=40, depth=0.5):
    return [task.sample(Place("niah", 0, length, depth, index), material) for index in range(count)]


def key_of(question, characters) -> str:
    return re.fullmatch(r" Recall: the code of (.+) is", characters.decode(question.tokens))[1]


@KINDS
@HAYSTACKS
@pytest.mark.parametrize(("keys", "values", "queries"), [(1, 1, 1), (4, 1, 1), (1, 4, 1), (4, 1, 4), (3, 2, 2)])
def test_keys_values_and_queries_are_as_many_as_asked_for_and_answered_as_stated(
    keys, values, queries, haystack, kind, characters
):
    task = Needles(keys, values, queries, haystack, kind)
    for sample in samples(task, characters, count=8):
        text = characters.decode(sample.tokens)
        stated = STATED.findall(text)
        said = Counter(key for key, _ in stated)
        assert len(sample.questions) == queries
        assert len(sample.positions) == queries * values
        for number, question in enumerate(sample.questions):
            key, golds = key_of(question, characters), question.candidates[: question.golds]
            assert said.pop(key) == values == question.golds
            assert len(question.candidates) == values + 9
            assert {f" {value}." for name, value in stated if name == key} == set(golds)
            for gold, at in zip(golds, sample.positions[number * values :], strict=False):
                assert text[at:].startswith(f" The code of {key} is{gold}")
        if haystack == "needle":
            assert len(said) > 5
            assert values == 1 or list(said.values()).count(values) == keys - queries
        else:
            assert sorted(said.values()) == [values] * (keys - queries)


@HAYSTACKS
def test_wrong_candidates_are_first_the_other_values_of_the_text(haystack, characters):
    task = Needles(4, 1, 1, haystack, "words")
    for sample in samples(task, characters, length=1200):
        (question,) = sample.questions
        stated = {f" {value}." for _, value in STATED.findall(characters.decode(sample.tokens))}
        wrong = question.candidates[1:]
        assert [candidate in stated for candidate in wrong] == (
            [True] * 9 if haystack == "needle" else [True] * 3 + [False] * 6
        )


def test_a_haystack_of_needles_names_no_key_twice_and_all_keys_alike(characters):
    for sample in samples(replace(ONE, haystack="needle"), characters, length=4000, count=10):
        text = characters.decode(sample.tokens)
        keys = [key for key, _ in STATED.findall(text)]
        assert len(set(keys)) == len(keys) > 60
        assert {len(key.split()) for key in keys} == {2}
        # A sentence of the grammar at most is left beside them.
        assert len(STATED.sub("", text)) < 90


def test_the_values_that_are_candidates_stand_anywhere_in_a_haystack_of_needles(characters):
    counts = Counter()
    for sample in samples(replace(ONE, haystack="needle"), characters, length=3000, count=60):
        text, places = characters.decode(sample.tokens), []
        for candidate in sample.questions[0].candidates[1:]:
            places.append(text.index(candidate) / len(text))
        counts.update(min(int(place * 5), 4) for place in places)
    expected = 60 * 9 / 5
    assert sum((counts[place] - expected) ** 2 / expected for place in range(5)) < 18.467  # 99.9 % of 4 degrees


def test_any_of_the_stated_keys_is_asked_for_whatever_its_place_in_the_text(characters):
    task, ranks = Needles(4, 1, 1, "filler", "words"), Counter()
    for length in (0, 260):  # where there is hardly a line between them, their own order matters
        for sample in samples(task, characters, length, count=300):
            keys = [key for key, _ in STATED.findall(characters.decode(sample.tokens))]
            ranks[keys.index(key_of(sample.questions[0], characters))] += 1
    assert sum((ranks[place] - 150) ** 2 / 150 for place in range(4)) < 16.266  # 99.9 % of 3 degrees


def test_a_lone_needle_stands_at_the_depth_and_several_do_not(characters):
    assert ONE.is_by_depth
    assert not any(replace(ONE, **{name: 4}).is_by_depth for name in ("keys", "values"))
    for depth in (0.0, 0.3, 1.0):
        for sample in samples(ONE, characters, 2000, 10, depth):
            assert sample.positions[0] / len(sample.tokens) == pytest.approx(depth, abs=0.04)


def test_numbers_have_seven_digits_and_words_two_parts(characters):
    for kind, form in [("numbers", r" [1-9]\d{6}\."), ("words", r" [a-z]+ [a-z]+\.")]:
        for sample in samples(replace(ONE, kind=kind), characters):
            assert all(re.fullmatch(form, candidate) for candidate in sample.questions[0].candidates)


@KINDS
def test_candidates_are_alike_in_tokens(kind, trained):
    sizes = [
        len({len(answer) for answer in sample.questions[0].answers})
        for sample in samples(Needles(4, 1, 1, "filler", kind), trained, 300)
    ]
    assert sizes.count(1) > 30


def test_text_of_the_dataset_never_names_a_key_that_is_asked_for(characters):
    task = Needles(4, 2, 4, "text", "words")
    for sample in samples(task, characters, 6000, 5):
        text = characters.decode(sample.tokens)
        assert text.count(" code ") == 8
        for question in sample.questions:
            assert text.count(key_of(question, characters)) == 2


def test_there_are_as_many_names_as_one_takes_and_none_comes_twice():
    names = drawn_names(generator(0, "test"), 1)
    drawn = [next(names) for _ in range(1000)]
    assert set(drawn[: len(NAMES)]) == set(NAMES)
    assert len(set(drawn)) == 1000
    assert all(len(name.split()) == 2 for name in drawn[len(NAMES) :])
    assert next(drawn_names(generator(1, "test"), 1)) != drawn[0] != next(drawn_names(generator(2, "test"), 1))


def test_a_sample_is_what_it_was(characters):
    sample = Needles(2, 1, 2, "filler", "words").sample(Place("niah_multiquery", 0, 200, 0.0, 7), characters)
    assert characters.decode(sample.tokens) == (
        " river was sold with the heavy forest. The public border led to the bright field. The code of Olaf is result "
        "children. The code of Ivan is building income."
    )
    assert sample.questions[0].candidates[:3] == [" building income.", " result children.", " military rights."]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"keys": 0}, "keys must be above 0, got 0"),
        ({"values": -1}, "values must be above 0, got -1"),
        ({"queries": 0}, "queries must be above 0, got 0"),
        (
            {"keys": 501, "values": 2},
            r"keys times evaluation\.parameters\.niah_\*\.values must be at most 1000, got 1002",
        ),
        ({"queries": 2}, r"queries must be at most evaluation\.parameters\.niah_\*\.keys=1, got 2"),
        ({"haystack": "needles"}, "haystack must be among filler, text, repeat, needle, .*did you mean 'needle'"),
        ({"kind": "number"}, "kind must be among words, numbers, got 'number'; did you mean 'numbers'"),
    ],
)
def test_parameters_out_of_range_are_refused(change, said):
    with pytest.raises(Refusal, match=rf"evaluation\.parameters\.niah_\*\.{said}"):
        replace(ONE, **change)
