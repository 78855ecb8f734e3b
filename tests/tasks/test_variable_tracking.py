import re
from collections import Counter
from dataclasses import replace

import pytest

from ctxext.refusal import Refusal
from ctxext.tasks.samples import Place
from ctxext.tasks.variable_tracking import VariableTracking, spelt

TASK = VariableTracking(chains=2, hops=4, haystack="filler")
LET = re.compile(r" Let ([A-Z]{5}) be (\w+)\.")


def samples(task, material, length=800, count=40):
    return [task.sample(Place("variable_tracking", 0, length, 0.0, index), material) for index in range(count)]


def held(text: str) -> dict[str, list[str]]:
    """Return the names that hold each number, read from the start as a program."""
    values: dict[str, str] = {}
    for name, value in LET.findall(text):
        assert name not in values, f"{name} is set twice"
        values[name] = value if value.isdigit() else values[value]  # a name that was not yet set is an error
    return {number: [name for name in values if values[name] == number] for number in values.values()}


@pytest.mark.parametrize("haystack", ["filler", "text", "repeat"])
@pytest.mark.parametrize(("chains", "hops"), [(1, 4), (3, 2), (2, 0)])
def test_the_golds_are_the_names_that_hold_the_number_when_the_text_is_run(chains, hops, haystack, characters):
    for sample in samples(VariableTracking(chains, hops, haystack), characters, count=15):
        text, (question,) = characters.decode(sample.tokens), sample.questions
        found = held(text)
        asked = re.fullmatch(r" Recall: (\d{7}) is held by", characters.decode(question.tokens))[1]
        assert [len(names) for names in found.values()] == [hops + 1] * chains
        golds = [candidate.strip(" .") for candidate in question.candidates[: question.golds]]
        assert golds == found[asked]
        for name, at in zip(golds, sample.positions, strict=True):
            assert text[at:].startswith(f" Let {name} be ")
        assert sample.positions == sorted(sample.positions)


def test_the_wrong_candidates_are_first_the_names_of_other_chains_and_then_new_ones(characters):
    for sample in samples(TASK, characters):
        (question,) = sample.questions
        text = characters.decode(sample.tokens)
        wrong = [candidate.strip(" .") for candidate in question.candidates[5:]]
        assert [name in text for name in wrong] == [True] * 5 + [False] * 4
        assert all(re.fullmatch("[A-Z]{5}", name) for name in wrong)
    many = samples(replace(TASK, chains=4), characters, count=3)
    for sample in many:
        text = characters.decode(sample.tokens)
        assert all(candidate.strip(" .") in text for candidate in sample.questions[0].candidates)


def test_the_chains_are_mixed_and_the_asked_one_begins_as_often_as_the_other(characters):
    first, orders = 0, set()
    for length in (0, 420):  # with hardly a line between them
        for sample in samples(TASK, characters, length, 200):
            golds = {candidate.strip(" .") for candidate in sample.questions[0].candidates[:5]}
            order = tuple(name in golds for name, _ in LET.findall(characters.decode(sample.tokens)))
            orders.add(order)
            first += order[0]
    assert len(orders) > 150  # of 252
    assert 160 <= first <= 240  # 4 standard deviations about 200


def test_every_name_can_be_spelt_and_none_in_two_ways():
    assert (spelt(0), spelt(1), spelt(26**5 - 1)) == ("AAAAA", "BAAAA", "ZZZZZ")
    assert len({spelt(place) for place in range(5000)}) == 5000


def test_names_are_alike_in_tokens(trained):
    counts = Counter(len({len(a) for a in s.questions[0].answers}) for s in samples(TASK, trained, 500))
    assert counts[1] > 30


def test_a_sample_is_what_it_was(characters):
    task = VariableTracking(chains=1, hops=1, haystack="filler")
    sample = task.sample(Place("variable_tracking", 0, 150, 0.0, 0), characters)
    assert characters.decode(sample.tokens) == (
        "e the early river. Let VZOTV be 8767162. The broken valley ran along the cold school. Let KJNCC be VZOTV."
    )
    assert sample.questions[0].candidates[:3] == [" VZOTV.", " KJNCC.", " SUQVT."]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chains": 0}, "chains must be above 0, got 0"),
        ({"hops": -1}, "hops must be at least 0, got -1"),
        ({"haystack": "needle"}, "haystack must be among filler, text, repeat, got 'needle'"),
    ],
)
def test_parameters_out_of_range_are_refused(change, said):
    with pytest.raises(Refusal, match=rf"evaluation\.parameters\.variable_tracking\.{said}"):
        replace(TASK, **change)
