"""Facts: an oracle that reads the documents finds the answer, and not without each document that leads to it."""

import re
from collections import Counter
from statistics import mean, median

import pytest

from ctxext.refusal import Refusal
from ctxext.tasks import facts_qa, recall
from ctxext.tasks.facts_qa import FactsQa
from ctxext.tasks.samples import Asked, Place

NAME = r"[A-Z][a-z]+ [A-Z][a-z]+"
TOLD, TOWN, THING = rf"learned from (?P<teacher>{NAME})", r"lives in (?P<town>\w+)", r"(?P<thing>\w+ \w+)"
FORMS = (
    rf" (?P<name>{NAME})(?: {TOLD},)? {TOWN} and keeps the {THING}\.",
    rf" The {THING} is kept by (?P<name>{NAME}), who {TOWN}(?: and {TOLD})?\.",
)


def samples(hops: int, length: int, characters, count: int = 60) -> list[Asked]:
    return [FactsQa(hops).sample(Place("facts_qa", 0, length, 0.0, index), characters) for index in range(count)]


def read(text: str) -> dict[str, dict[str, str]]:
    """Return what is stated of each name."""
    found = [match.groupdict() for form in FORMS for match in re.finditer(form, text)]
    people = {person["name"]: person for person in found}
    assert len(people) == len(found)
    return people


def answer(question: str, people: dict[str, dict[str, str]]) -> str | None:
    """Return the answer to `question` from what is stated of `people`, or None where they don't tell."""
    asked, attribute = (
        re.search(r"Question: (.+)\? Answer:", question)[1],
        {"where": "town", "what": "thing", "who": "teacher"},
    )
    kind = asked.split()[0]
    if "teacher" in asked:
        student = people.get(re.search(rf"the teacher of ({NAME})", asked)[1], {})
        return people.get(student.get("teacher") or "", {}).get(attribute[kind])
    if kind == "who":
        (thing,) = re.findall(r"keeps the (.+)", asked)
        return next((name for name, person in people.items() if person["thing"] == thing), None)
    return people.get(re.search(NAME, asked)[0], {}).get(attribute[kind])


@pytest.mark.parametrize("hops", [1, 2])
@pytest.mark.parametrize("length", [0, 1000, 6000])
def test_the_answer_follows_from_the_documents_and_from_none_fewer(hops, length, characters):
    kinds = Counter()
    for one in samples(hops, length, characters):
        text, (question,) = characters.decode(one.tokens), one.questions
        asked, gold = characters.decode(question.tokens), question.candidates[0].strip(" .")
        kinds[asked.split()[1]] += 1
        assert answer(asked, read(text)) == gold
        assert gold not in asked
        assert len(one.positions) == hops
        for position in one.positions:
            end = text.index(".", position) + 1
            assert answer(asked, read(text[:position] + text[end:])) is None
            assert any(re.fullmatch(form, text[position:end]) for form in FORMS)
    assert set(kinds) == {"where", "what", "who"}
    assert min(kinds.values()) > 8


def test_documents_fill_the_text_and_wrong_answers_are_of_them(characters):
    for one in samples(1, 3000, characters):
        text, (question,) = characters.decode(one.tokens), one.questions
        assert len(read(text)) > 30
        assert all(candidate.strip(" .") in text for candidate in question.candidates)
        assert text.count(question.candidates[0].strip(" .")) == 1


def test_of_two_hops_the_documents_stand_in_either_order(characters):
    ahead = sum(one.positions[0] < one.positions[1] for one in samples(2, 1500, characters, 200))
    assert 65 < ahead < 135


def test_nothing_that_is_asked_for_is_a_word_of_the_filler():
    said = {word for part in (recall.QUALITIES, recall.THINGS, recall.DOINGS) for text in part for word in text.split()}
    words = {word for text in (*facts_qa.THINGS, *facts_qa.TOWNS) for word in text.split()}
    assert not words & said
    assert len(set(facts_qa.TOWNS)) == len(facts_qa.TOWNS)
    assert len(set(facts_qa.THINGS)) == len(facts_qa.THINGS)
    assert len(set(facts_qa.SURNAMES)) == len(facts_qa.SURNAMES)


def test_names_are_never_used_twice_and_the_first_town_and_thing_not_again(characters):
    for kind in ("where", "what", "who"):
        people = list(FactsQa(1).people(Place("facts_qa", 0, 9, 0.0, 0).draw, kind, characters.encode))
        assert len({person.name for person in people}) == len(people) == len(recall.NAMES) * len(facts_qa.SURNAMES)
        assert all(person.town != people[0].town and person.thing != people[0].thing for person in people[1:])


def test_other_hops_are_refused():
    with pytest.raises(Refusal, match=r"facts_qa\.hops must be 1 or 2, got 3"):
        FactsQa(3)


def test_what_is_asked_for_is_no_likelier_of_another_size_than_the_rest(trained):
    gold, others = 0, 0.0
    for one in samples(1, 0, trained, count=400):
        sizes = [len(answer) for answer in one.questions[0].answers]
        unlike = [size != median(sizes) for size in sizes]
        gold += unlike[0]
        others += mean(unlike[1:])
    assert others > 4  # there are some
    assert gold < others + 3 * others**0.5
