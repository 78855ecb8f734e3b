"""How texts are cut, by the name of the pre-tokenizer."""

import pytest

from ctxext.formats.gguf.pretokenizers import NAMES, pre_tokenizer

TEXT = "I'LL pay  1234½ euro\n\n\n x!?\r\n"


def pieces(name: str) -> list[str]:
    """Return the pieces of TEXT, with the bytes spelt as they are."""
    spaces = {"Ġ": " ", "Ċ": "\n", "č": "\r", "Â½": "½"}
    found = [piece for piece, _ in pre_tokenizer(name).pre_tokenize_str(TEXT)]
    for letter, byte in spaces.items():
        found = [piece.replace(letter, byte) for piece in found]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_text_is_lost(name: str) -> None:
    assert "".join(pieces(name)) == TEXT


def test_digits_are_cut_as_the_name_says() -> None:
    assert pieces("gpt-2") == ["I", "'", "LL", " pay", " ", " 1234½", " euro", "\n\n\n", " x", "!?", "\r\n"]
    assert pieces("smollm")[3:10] == [" pay", "  ", "1", "2", "3", "4", "½"]
    assert pieces("qwen2")[:8] == ["I", "'LL", " pay", " ", " ", "1", "2", "3"]
    assert pieces("llama-bpe")[:7] == ["I", "'LL", " pay", " ", " ", "123", "4½"]
    assert pieces("default")[:8] == ["I", "'", "LL", " pay", " ", " ", "123", "4½"]


def test_breaks_end_a_piece_of_signs_in_newer_names() -> None:
    assert pieces("qwen2")[-1] == "!?\r\n"
    assert pieces("smollm")[-2:] == ["!?", "\r\n"]
