import numpy as np

from ctxext.maths.counted import generator


def draws(*name) -> list[int]:
    return generator(*name).integers(1 << 62, size=8).tolist()


def test_a_draw_is_the_same_whatever_was_drawn_before():
    first = draws(1, "rows", 7)
    generator(1, "rows", 6).random(1000)
    assert draws(1, "rows", 7) == first


def test_the_seed_the_purpose_and_each_counter_change_the_draw():
    names = [
        (0, "rows"),
        (1, "rows"),
        (0, "lines"),
        (0, "rows", 0),
        (0, "rows", 1),
        (0, "rows", 0, 1),
        (0, "rows", 1, 0),
    ]
    names += [(0, "rows", 11), (0, "rows", 1, 1), (1, "0/rows"), (10, "rows")]
    assert len({tuple(draws(*name)) for name in names}) == len(names)


def test_neighbouring_counters_give_unrelated_numbers():
    columns = np.array([generator(0, "rows", row).random(2000) for row in range(2)])
    assert abs(np.corrcoef(columns)[0, 1]) < 0.1


def test_the_numbers_are_those_of_every_machine():
    assert draws(0, "golden", 1)[:2] == [3061177417637524761, 436448697248563053]
