"""A text ends at an end token, at a stop, or when it has its number of tokens."""

from itertools import count, repeat

import pytest

from ctxext.data.tokenizer import train_tokenizer
from ctxext.generation.text import Characters
from ctxext.generation.writing import Ends, Writing

TOKENIZER = train_tokenizer(["a b"], 258)
A, B, SPACE = (TOKENIZER.encode(text).ids[0] for text in ("a", "b", " "))
HALF = TOKENIZER.encode("é").ids[0]


def written(tokens, *, words: tuple[str, ...] = (), most: int = 5) -> Writing:
    writing = Writing(Characters(TOKENIZER, [A]), Ends((0,), words, most))
    assert "".join(writing.pieces(tokens)) == writing.text
    return writing


@pytest.mark.parametrize(
    ("tokens", "words", "text", "drawn", "ended"),
    [
        ([A, SPACE, B, 0, A], (), "a b", 4, "end token"),
        (repeat(A), (), "aaaaa", 5, "max_new_tokens"),
        ([A, B, A, A], ("ba", "x"), "a", 3, "stop 'ba'"),
        ([A, B], ("bx",), "ab", 2, "no position left"),
        ([A, B, 0], ("bx",), "ab", 3, "end token"),
        ([A, HALF, 0], (), "a\ufffd", 3, "end token"),
        ([A, HALF, 0], ("\ufffd",), "a", 3, "stop '\ufffd'"),
    ],
)
def test_the_text_is_what_comes_before_its_end(tokens, words, text, drawn, ended):
    writing = written(tokens, words=words)
    assert (writing.text, writing.drawn, writing.ended) == (text, drawn, ended)


def test_no_token_more_is_asked_for_than_is_shown():
    numbers = count()
    written((A for _ in numbers), most=3)
    assert next(numbers) == 3


def test_what_breaks_off_is_told_as_such():
    writing = Writing(Characters(TOKENIZER, [A]), Ends((), (), 9))
    next(writing.pieces(repeat(A)))
    assert (writing.text, writing.ended) == ("a", "interrupted")
