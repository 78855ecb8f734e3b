"""Tokenizers in GGUF's keys. What llama.cpp makes of the names was compared with scripts/llama_cpp_check.py."""

import json
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from ctxext.data.tokenizer import END, as_plain_text
from ctxext.formats.companions import Companions, plain_companions
from ctxext.formats.gguf.pretokenizers import WHOLE, pre_tokenizer
from ctxext.formats.gguf.writing.vocabulary import NAMES, NOT_COMPOSED, chat_template, notes, vocabulary
from ctxext.formats.huggingface.writing.reasons import NotExportable
from ctxext.refusal import Refusal

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.fixture
def own(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that a test may change."""
    return as_plain_text(Tokenizer.from_str(tokenizer.to_str()))


def changed(tokenizer: Tokenizer, **model: Any) -> Tokenizer:
    stored = json.loads(tokenizer.to_str())
    stored["model"] |= model
    return Tokenizer.from_str(json.dumps(stored))


def test_our_own_tokenizer_cuts_as_smollm_does(tokenizer: Tokenizer) -> None:
    keys = vocabulary(tokenizer, plain_companions(tokenizer), 310)
    known = tokenizer.get_vocab_size()
    assert (keys["model"], keys["pre"]) == ("gpt2", "smollm")
    assert [tokenizer.token_to_id(word) for word in keys["tokens"][:known]] == list(range(known))
    assert keys["tokens"][known:] == [f"[PAD{token}]" for token in range(known, 310)]
    assert keys["token_type"] == [3] + [1] * (known - 1) + [5] * (310 - known)
    assert keys["merges"] == [" ".join(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def test_control_tokens_are_written_and_none_is_added_to_a_text(tokenizer: Tokenizer) -> None:
    keys = vocabulary(tokenizer, plain_companions(tokenizer), 310)
    assert (keys["bos_token_id"], keys["eos_token_id"], keys["padding_token_id"]) == (0, 0, 0)
    assert (keys["add_bos_token"], keys["add_eos_token"]) == (False, False)


def test_a_first_token_that_the_tokenizer_adds_is_added_by_llama_cpp(own: Tokenizer) -> None:
    own.add_special_tokens(["<s>", "</s>", "<|eot|>"])
    first, last, turn = (own.token_to_id(word) for word in ("<s>", "</s>", "<|eot|>"))
    own.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", first)])
    companions = Companions({"bos_token": {"content": "<s>"}}, {"eos_token_id": [last, turn]})

    keys = vocabulary(own, companions, 310)

    assert (keys["bos_token_id"], keys["eos_token_id"], keys["eot_token_id"]) == (first, last, turn)
    assert (keys["add_bos_token"], keys["add_eos_token"]) == (True, False)
    assert {"padding_token_id", "unknown_token_id"}.isdisjoint(keys)
    unknown = Companions({"bos_token": "<s>", "unk_token": END}, {"pad_token_id": last})
    assert vocabulary(own, unknown, 310).items() >= {"unknown_token_id": 0, "padding_token_id": last}.items()


def test_tokens_around_a_text_that_llama_cpp_cannot_add_are_refused(own: Tokenizer) -> None:
    own.post_processor = processors.TemplateProcessing(single=f"a {END} $A", special_tokens=[("a", 66), (END, 0)])
    with pytest.raises(NotExportable, match=r"it puts the tokens \[66, 0\] before a text and \[\] behind it"):
        vocabulary(own, plain_companions(own), 310)


def test_words_that_a_user_added_are_told_from_control_tokens(own: Tokenizer) -> None:
    own.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    assert vocabulary(own, plain_companions(own), 310)["token_type"][own.token_to_id("<think>")] == 4


@pytest.mark.parametrize("name", NAMES)
def test_each_way_to_cut_a_text_is_known_by_its_name(own: Tokenizer, name: str) -> None:
    own.pre_tokenizer = pre_tokenizer(name)
    found = vocabulary(changed(own, ignore_merges=name in WHOLE), plain_companions(own), 310)
    assert found["pre"] == name


def test_the_pattern_of_llama_3_is_known_as_its_own_file_spells_it(own: Tokenizer) -> None:
    cut = pre_tokenizers.Split(Regex(LLAMA3), "isolated", invert=False)
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    own.pre_tokenizer = pre_tokenizers.Sequence([cut, level])
    assert vocabulary(changed(own, ignore_merges=True), plain_companions(own), 310)["pre"] == "llama-bpe"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pre_tokenizer": pre_tokenizers.Whitespace()}, 'ignore_merges is False and its pre-tokenizer [{"type": "Wh'),
        ({"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=True)}, "ignore_merges is False and its pre-tok"),
        ({"normalizer": normalizers.Lowercase()}, "its normalizer is Lowercase"),
        ({"decoder": decoders.Metaspace()}, "it must be a byte-level BPE, and its model is BPE"),
        ({"model": models.Unigram([("a", 0.0)])}, "it must be a byte-level BPE, and its model is Unigram"),
    ],
)
def test_a_tokenizer_that_would_be_read_as_another_is_refused(own: Tokenizer, change: Any, sentence: str) -> None:
    for key, value in change.items():
        setattr(own, key, value)
    with pytest.raises(NotExportable) as raised:
        vocabulary(own, plain_companions(own), 310)
    assert str(raised.value).startswith(f"the tokenizer has no name in llama.cpp: {sentence}")


def test_a_model_that_merges_otherwise_is_refused(own: Tokenizer) -> None:
    with pytest.raises(NotExportable, match="byte_fallback of its model is True"):
        vocabulary(changed(own, byte_fallback=True), plain_companions(own), 310)
    with pytest.raises(NotExportable, match="ignore_merges is True and its pre-tokenizer"):
        vocabulary(changed(own, ignore_merges=True), plain_companions(own), 310)


def test_a_form_of_unicode_that_llama_cpp_leaves_alone_is_noted(own: Tokenizer) -> None:
    assert notes(own) == ()
    own.normalizer = normalizers.NFC()
    assert vocabulary(own, plain_companions(own), 310)["pre"] == "smollm"
    assert notes(own) == (NOT_COMPOSED,)


def test_more_tokens_than_the_embedding_has_rows_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(Refusal, match=r"model\.vocab_size must be at least the tokenizer's \d+, got 5"):
        vocabulary(tokenizer, plain_companions(tokenizer), 5)


def test_a_chat_template_is_found_in_its_own_file_or_in_the_settings() -> None:
    assert chat_template(Companions({}, {}, "a")) == "a"
    assert chat_template(Companions({"chat_template": "b"}, {})) == "b"
    assert chat_template(Companions({"chat_template": [{"name": "tools"}]}, {})) == ""
