"""The tokenizer gives every text back, knows its bytes, and takes no orders from a text."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from ctxext.data.tokenizer import (
    END,
    as_plain_text,
    beginning,
    byte_lengths,
    end_token,
    load_tokenizer,
    tokenizing,
    train_tokenizer,
)
from ctxext.refusal import Refusal

TEXTS = ["The code of Ada is 48151. The code of Ben is 62342.", "Fellow-citizens of the Senate,  and   of the House\n"]
TOKENIZER = train_tokenizer(TEXTS * 3, 300)
ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=60)


@settings(deadline=None)
@given(ANY_TEXT)
def test_decoding_gives_the_text_back(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text).ids, skip_special_tokens=False) == text


@settings(deadline=None)
@given(ANY_TEXT)
def test_the_bytes_of_the_tokens_add_up_to_those_of_the_text(text: str) -> None:
    assert byte_lengths(TOKENIZER)[TOKENIZER.encode(text).ids].sum() == len(text.encode())


def test_the_end_is_token_0_and_stands_for_no_bytes() -> None:
    assert TOKENIZER.token_to_id(END) == end_token(TOKENIZER) == 0
    lengths = byte_lengths(TOKENIZER)
    assert lengths.shape == (TOKENIZER.get_vocab_size(),)
    assert list(np.flatnonzero(lengths == 0)) == [0]


def test_every_digit_is_a_token() -> None:
    tokens = [TOKENIZER.id_to_token(token) or "" for token in TOKENIZER.encode("48151 62342").ids]
    assert [token for token in tokens if any(letter.isdigit() for letter in token)] == list("4815162342")


def test_a_control_token_in_a_text_stays_text_also_after_loading(tmp_path: Path) -> None:
    TOKENIZER.save(str(tmp_path / "tokenizer.json"))
    for tokenizer in (TOKENIZER, load_tokenizer(tmp_path / "tokenizer.json")):
        tokens = tokenizer.encode(f"before{END}after").ids
        assert 0 not in tokens
        assert tokenizer.decode(tokens) == f"before{END}after"


def test_the_same_texts_give_the_same_tokenizer() -> None:
    assert train_tokenizer(TEXTS * 3, 300).to_str() == TOKENIZER.to_str()


def test_the_vocabulary_holds_every_byte_or_is_refused() -> None:
    assert train_tokenizer(["a"], 257).get_vocab_size() == 257
    with pytest.raises(Refusal, match=r"model.vocab_size must be at least 257 .* got 256"):
        train_tokenizer(["a"], 256)


def test_a_file_that_is_no_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"tokenizer.json: no such tokenizer file"):
        load_tokenizer(tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer.json").write_text('{"cut')
    with pytest.raises(Refusal, match=r"tokenizer.json: not a tokenizer.json"):
        load_tokenizer(tmp_path / "tokenizer.json")


def test_a_sentencepiece_vocabulary_counts_its_spaces_and_bytes() -> None:
    vocabulary = {"</s>": 0, "\u2581the": 1, "é": 2, "<0x0A>": 3, "plain": 4}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.decoder = decoders.ByteFallback()
    tokenizer.add_special_tokens(["</s>"])
    tokenizer.add_tokens([AddedToken("plain", special=False)])
    assert list(byte_lengths(tokenizer)) == [0, 4, 2, 1, 5]
    assert end_token(tokenizer) == 0


def test_the_end_is_a_control_token_where_another_word_looks_like_one() -> None:
    tokenizer = Tokenizer(models.BPE({"</s>": 0, "<eos>": 1, "a": 2}, []))
    assert end_token(tokenizer) == 0
    tokenizer.add_special_tokens(["<eos>"])
    assert end_token(tokenizer) == 1


def test_what_ends_a_document_comes_before_what_ends_a_turn() -> None:
    tokenizer = Tokenizer(models.BPE({}, []))
    tokenizer.add_special_tokens(["<|eot_id|>", "<|im_end|>"])
    assert tokenizer.id_to_token(end_token(tokenizer)) == "<|im_end|>"
    tokenizer.add_special_tokens(["<|end_of_text|>"])
    assert tokenizer.id_to_token(end_token(tokenizer)) == "<|end_of_text|>"


def test_a_tokenizer_without_an_end_is_refused() -> None:
    with pytest.raises(Refusal, match=r"no token that ends a text"):
        end_token(Tokenizer(models.BPE({"a": 0}, [])))


@pytest.mark.parametrize(
    ("template", "begins"),
    [("<s> $A", ["<s>"]), (f"<s> $A {END}", ["<s>"]), (f"{END} <s> $A", [END, "<s>"]), (f"$A {END}", []), ("$A", [])],
)
def test_texts_begin_with_what_the_template_puts_in_front_and_only_that(template: str, begins: list[str]) -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    assert beginning(tokenizer) == ()
    tokenizer.add_special_tokens(["<s>"])
    ids = [(word, tokenizer.token_to_id(word)) for word in (END, "<s>")]
    tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=ids)

    assert beginning(as_plain_text(tokenizer)) == tuple(tokenizer.token_to_id(word) for word in begins)


def test_a_text_over_which_the_library_gives_up_is_refused_and_no_panic_passes_by() -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("(a+)+b"), "isolated")
    with (
        pytest.raises(Refusal, match=r"the tokenizer gives up on a text \(.+\); use a base with another"),
        tokenizing(),
    ):
        tokenizer.encode("a" * 40)
    with pytest.raises(KeyboardInterrupt), tokenizing():
        raise KeyboardInterrupt
