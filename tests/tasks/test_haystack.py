import re
from dataclasses import replace
from itertools import chain, count

import pytest

from ctxext.maths.counted import generator
from ctxext.refusal import Refusal
from ctxext.tasks import haystack
from ctxext.tasks.haystack import Haystack, check_haystack, line_of, room_of, stacked
from ctxext.tasks.samples import Place, Question

PLACE = Place("niah_single", 0, 100, 0.5, 0)
STACK = Haystack([9] * 3, [[1] * 2, [2] * 10, [3] * 2, [4] * 3])


def test_needles_stand_behind_as_many_lines_as_their_gaps_say_and_start_where_it_is_said():
    tokens, starts = STACK.bury([[50, 51], [60]], [1, 3])
    assert tokens == [9, 9, 9, 1, 1, 50, 51, *[2] * 10, 3, 3, 60, 4, 4, 4]
    assert starts == [5, 19]


def test_needles_at_the_ends_and_at_the_same_gap_keep_their_order():
    tokens, starts = STACK.bury([[50], [60], [70]], [0, 0, 4])
    assert tokens[:5] == [9, 9, 9, 50, 60]
    assert tokens[-1] == 70
    assert starts == [3, 4, len(tokens) - 1]
    assert Haystack([], []).bury([[50], [60]], [0, 0]) == ([50, 60], [0, 1])


@pytest.mark.parametrize(("depth", "gap"), [(0.0, 0), (0.25, 1), (0.49, 1), (0.51, 2), (0.84, 3), (1.0, 4)])
def test_a_depth_is_a_share_of_the_tokens_and_not_of_the_lines(depth, gap):
    assert STACK.gap(depth) == gap  # of the gaps at 3, 5, 15, 17 and 20 of 20 tokens


def test_drawn_gaps_rise_and_each_is_as_likely_as_another():
    drawn = [STACK.gaps(generator(0, "gaps", index), 3) for index in range(2000)]
    assert all(gaps == sorted(gaps) and len(gaps) == 3 for gaps in drawn)
    counts = [sum(gaps.count(gap) for gaps in drawn) for gap in range(5)]
    statistic = sum((found - 1200) ** 2 / 1200 for found in counts)
    assert statistic < 18.467  # the 99.9 % point of 4 degrees of freedom


@pytest.mark.parametrize("room", [0, 1, 6, 7, 8, 50, 57])
def test_a_haystack_is_exactly_its_room_of_whole_lines_and_the_end_of_others(room):
    number = count()
    found = stacked(room, lambda: [next(number)] * 7, lambda: [100, 101, 102])
    assert len(found.edge) + sum(map(len, found.lines)) == room
    assert all(len(line) == 7 for line in found.lines)
    assert len(found.edge) < 7
    assert found.edge == ([100, 101, 102] * 3)[9 - len(found.edge) :]


def question(tokens: int, *answers: int) -> Question:
    return Question([0] * tokens, [], [[0] * answer for answer in answers])


def test_room_is_what_the_needles_and_the_longest_question_with_its_longest_answer_leave():
    asked = [question(5, 1, 2), question(3, 9)]
    assert room_of(PLACE, [[0] * 10, [0] * 20], asked, lambda: 0) == 100 - 30 - 12
    assert room_of(PLACE, [[0] * 10], [replace(question(5, 1, 2, 3), golds=2)], lambda: 0) == 100 - 10 - 5 - (1 + 2 + 4)
    assert room_of(replace(PLACE, length=42), [[0] * 30], asked, lambda: 0) == 0
    assert room_of(replace(PLACE, length=0), [[0] * 30], asked, lambda: 0) == 0


@pytest.mark.parametrize(("least", "said"), [(50, 50), (10, 42)])
def test_a_length_without_room_is_refused_with_what_suffices_for_any_draw_and_for_this_one(least, said):
    with pytest.raises(
        Refusal,
        match=f"evaluation.lengths: the task niah_single needs {said} tokens or more, got 41; choose longer "
        r"evaluation\.lengths, or smaller evaluation\.parameters\.niah_single",
    ):
        room_of(replace(PLACE, length=41), [[0] * 30], [question(3, 9)], lambda: least)


def lines(kind, material, avoided=(), number=400, index=0):
    line = line_of(kind, generator(0, "lines", index), PLACE, material, avoided)
    return [line() for _ in range(number)]


def test_a_repeated_line_is_one_sentence_of_the_grammar(characters):
    found = {characters.decode(line) for line in lines("repeat", characters)}
    assert len(found) == 1
    assert re.fullmatch(r" The [a-z ]+\.", *found)
    assert found != {characters.decode(line) for line in lines("repeat", characters, index=1)}


def test_lines_of_filler_are_sentences_of_the_grammar(characters):
    found = {characters.decode(line) for line in lines("filler", characters)}
    assert len(found) > 300
    assert all(re.fullmatch(r" The [a-z ]+\.", line) for line in found)


def test_lines_of_text_are_the_sentences_in_order_from_a_drawn_one_round_and_round(characters):
    whole = "".join(characters.sentences)
    text = characters.decode([*chain(*lines("text", characters, number=6000))])
    assert len(text) > 3 * len(whole)
    assert text[: 3 * len(whole)] in whole * 4 + whole
    starts = {characters.decode(lines("text", characters, number=1, index=index)[0]) for index in range(30)}
    assert len(starts) > 15


def test_lines_of_text_are_short_even_where_a_sentence_is_long_or_has_no_space(material):
    assert max(map(len, lines("text", material, number=2000))) <= haystack.MOST


def test_a_sentence_with_a_word_that_is_avoided_is_left_out_and_others_stay(characters):
    avoided = ["Ada", "treaty vessel", "code", "1234567"]
    said = [" Ada came.", " A TREATY!", " No 1234567, no.", " Vessels and adage and 123456.", " The decoder."]
    found = lines("text", replace(characters, sentences=said), avoided, number=50)
    text = characters.decode([*chain(*found)])
    assert set(re.findall(r"[^.!]+[.!]", text)) == {" Vessels and adage and 123456.", " The decoder."}


@pytest.mark.parametrize("sentences", [[], [" Ada came.", " Nobody saw Ada."]])
def test_a_dataset_without_a_sentence_that_may_stand_is_refused(characters, sentences):
    with pytest.raises(
        Refusal,
        match=r"evaluation\.parameters\.niah_single\.haystack=text needs sentences of the dataset that name no key .* "
        f"found none among {len(sentences)}; use haystack=filler, or another dataset",
    ):
        lines("text", replace(characters, sentences=sentences), ["Ada"], number=1)


def test_a_haystack_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(Refusal, match=r"^a\.b\.haystack must be among x, filler, got 'filer'; did you mean 'filler'\?"):
        check_haystack("a.b", "filer", ("x", "filler"))
    check_haystack("a.b", "x", ("x", "filler"))
