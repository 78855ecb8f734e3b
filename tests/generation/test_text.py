"""Characters come whole, and nothing of a text at which to stop is shown."""

from random import Random

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from ctxext.data.tokenizer import train_tokenizer
from ctxext.generation.text import UNREAD, Characters, Stop

ALPHABET = "ab \n.éßж漢字🙂🏳️‍🌈ไทย\u200d'\"\\"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """A byte-level tokenizer with hardly a merge, so that most characters are of several tokens."""
    return train_tokenizer(["aa bb the the."], 262)


@pytest.fixture(scope="module")
def spaced() -> Tokenizer:
    """A tokenizer whose decoder takes the space at a text's beginning away, as SentencePiece's does."""
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    vocabulary = {word: number for number, word in enumerate(["<unk>", *bytes_, *"▁thepolfsa", "th", "the"])}
    model = models.BPE(vocabulary, [("t", "h"), ("th", "e")], unk_token="<unk>", byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def streamed(tokenizer: Tokenizer, prompt: list[int], tokens: list[int]) -> list[str]:
    characters = Characters(tokenizer, prompt)
    return [*(characters.push(token) for token in tokens), characters.close()]


@pytest.mark.parametrize("seed", range(20))
def test_pieces_of_random_texts_are_whole_characters_and_join_to_the_text(tokenizer, seed):
    draw = Random(seed)
    text = "".join(draw.choices(ALPHABET, k=40))
    pieces = streamed(tokenizer, tokenizer.encode("the").ids, tokenizer.encode(text).ids)
    assert "".join(pieces) == text
    assert not any(UNREAD in piece for piece in pieces)


@pytest.mark.parametrize("seed", range(20))
def test_random_tokens_give_what_decoding_them_at_once_gives(tokenizer, seed):
    tokens = Random(seed).choices(range(1, 260), k=60)
    assert "".join(streamed(tokenizer, [], tokens)) == tokenizer.decode(tokens)


def test_bytes_that_never_become_a_character_are_shown_as_they_come(tokenizer):
    lead = tokenizer.encode("🙂").ids[0]
    characters, shown = Characters(tokenizer, []), ""
    for _ in range(100):
        shown += characters.push(lead)
        assert len(characters.pending) <= 3
        assert len(characters.context) <= 8
    assert shown == UNREAD * 97
    assert "".join([shown, *(characters.push(token) for token in tokenizer.encode("🙂").ids)]) == UNREAD * 100 + "🙂"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_beginnings_of_characters_are_shown_as_decoding_them_at_once_shows_them(tokenizer, count):
    tokens = tokenizer.encode("🙂").ids[:count] * 20
    assert "".join(streamed(tokenizer, [], tokens)) == tokenizer.decode(tokens)


def test_a_space_after_the_prompt_stays(spaced):
    prompt, going_on = spaced.encode("the people").ids, spaced.encode("of the states").ids
    assert "".join(streamed(spaced, prompt, going_on)) == " of the states"
    assert spaced.decode(going_on) == "of the states"


def test_a_character_of_several_byte_tokens_comes_when_it_is_whole(spaced):
    tokens = [spaced.token_to_id(f"<0x{byte:02X}>") for byte in "é🙂".encode()]
    assert streamed(spaced, [], tokens) == ["", "é", "", "", "", "🙂", ""]


def test_control_tokens_are_not_shown(tokenizer):
    assert "".join(streamed(tokenizer, [], [0, *tokenizer.encode("the").ids, 0])) == "the"


@pytest.mark.parametrize("seed", range(30))
def test_however_a_text_is_cut_what_is_shown_ends_before_the_first_stop(seed):
    draw = Random(seed)
    text = "".join(draw.choices("ab", k=30))
    words = ["".join(draw.choices("ab", k=draw.randint(2, 5))) for _ in range(2)]
    stop, shown, place = Stop(words), "", 0
    while place < len(text):
        step = draw.randint(0, 4)
        shown += stop.push(text[place : place + step])
        place += step
    shown += stop.close()
    # A stop is found where its last character comes; of several then, the one that began first.
    ends = [next((end for end in range(31) if text[:end].endswith(word)), None) for word in words]
    begins = [end - len(word) for end, word in zip(ends, words, strict=True) if end is not None]
    assert bool(stop.found) is bool(begins)
    assert shown == text if not begins else shown in {text[:begin] for begin in begins}
    assert not any(word in shown for word in words)


def test_a_stop_may_cross_pieces_and_what_only_began_like_one_is_shown_in_the_end():
    stop = Stop(["\n\nQ:"])
    assert [stop.push(piece) for piece in ("A.\n", "\n", "B\n\n", "Q", ": x")] == ["A.", "", "\n\nB", "", ""]
    assert stop.found == "\n\nQ:"
    assert stop.push("more") == stop.close() == ""
    open_end = Stop(["END"])
    assert (open_end.push("the E"), open_end.push("N"), open_end.close()) == ("the ", "", "EN")


def test_without_stops_all_is_shown_at_once():
    assert Stop([]).push("abc") == "abc"
