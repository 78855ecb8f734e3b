"""The tokenizer of a GGUF file: ids are those of transformers' reading, and texts come back as they were."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from ctxext.formats.gguf.reading.file import GgufBase
from ctxext.refusal import Refusal

CONTROL = ["<|im_end|>", "a<|im_start|>user the", "<|endoftext|><|endoftext|>", " <|im_end|> "]
TEXTS = [
    "the cat in the hat",
    "  two  spaces   three",
    "café naïve Ελληνικά 中文字 🙂👩‍👩‍👧 e\u0301 \u00a0\u2003",
    "\t\n\r\n \n  x\n\n\n",
    "don't WE'LL I'm 'sup",
    "",
    "   ",
    "x = {'a': [b, c]} // __init__",
    "مرحبا שלום हिन्दी ไทย",
    "\x00\x01\x7f",
    "<think>hm</think>",
    *CONTROL,
]
DIGITS = ["12 1234567", "3.14 ½ ²", "  12  34", "٣٤"]

Write = Callable[..., Path]


@pytest.fixture
def file_of(tmp_path: Path, transformers_model: Callable[..., Any], gguf_of: Write) -> Write:
    """The maker of files with the keys of the tokenizer changed."""

    def make(**keys: Any) -> Path:
        spelt = {f"tokenizer.{'' if key == 'chat_template' else 'ggml.'}{key}": value for key, value in keys.items()}
        return gguf_of(tmp_path / "m.gguf", transformers_model("llama"), "llama", keys=spelt)

    return make


def tokenizer_of(file: Path) -> Tokenizer:
    return GgufBase(file).tokenizer()


def theirs(file: Path, text: str, is_split: bool) -> list[int]:
    """Return the ids of `text` in transformers' reading, which cuts control tokens in it if `is_split`."""
    from transformers import AutoTokenizer

    read = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    ids: list[int] = read(text, split_special_tokens=is_split)["input_ids"]
    return ids


@pytest.mark.parametrize("pre", ["gpt-2", "qwen2", "llama-bpe", "dbrx"])
def test_ids_are_those_of_transformers(pre: str, file_of: Write) -> None:
    file = file_of(pre=pre)
    tokenizer = tokenizer_of(file)
    plain = "\n".join([*TEXTS, *DIGITS])

    assert tokenizer.encode(plain).ids == theirs(file, plain, True)
    tokenizer.encode_special_tokens = False
    assert tokenizer.encode(plain).ids == theirs(file, plain, False)
    assert tokenizer.encode("<|im_end|>").ids == [2]


def test_digits_of_smollm_are_single_as_in_its_own_tokenizer(file_of: Write) -> None:
    tokenizer = tokenizer_of(file_of(pre="smollm"))
    assert tokenizer.encode("1234").tokens == ["1", "2", "3", "4"]
    assert tokenizer.encode("  12").tokens == ["ĠĠ", "1", "2"]  # transformers' reading joins a space with the 1
    assert tokenizer_of(file_of(pre="gpt-2")).encode("1234").tokens == ["12", "34"]


@pytest.mark.parametrize("pre", ["gpt-2", "smollm", "qwen2", "llama-bpe", "default"])
def test_texts_come_back_as_they_were(pre: str, file_of: Write) -> None:
    tokenizer = tokenizer_of(file_of(pre=pre))
    for text in (*TEXTS, *DIGITS):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_control_tokens_in_a_text_are_plain_text_until_asked_for(file_of: Write) -> None:
    tokenizer = tokenizer_of(file_of())
    for text in CONTROL:
        assert not {0, 1, 2} & set(tokenizer.encode(text).ids)
    assert tokenizer.token_to_id("<|im_end|>") == 2


def test_words_that_are_never_cut_stay_whole(file_of: Write) -> None:
    tokenizer = tokenizer_of(file_of())
    assert tokenizer.encode("a<think>").tokens == ["a", "<think>"]
    assert len(tokenizer_of(file_of(token_type=None)).encode("a<think>").tokens) > 2


def test_a_piece_that_is_a_token_is_one_where_the_name_says_so(file_of: Write) -> None:
    merges = ["c a"]  # none leads to the token "Ġthe"
    assert tokenizer_of(file_of(pre="llama-bpe", merges=merges, add_bos_token=False)).encode(" the").tokens == ["Ġthe"]
    assert tokenizer_of(file_of(pre="qwen2", merges=merges)).encode(" the").tokens == ["Ġ", "t", "h", "e"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"pre": "qwen2", "add_bos_token": None}, [66]),
        ({"pre": "llama-bpe", "add_bos_token": None}, [1, 66]),
        ({"pre": "llama-bpe"}, [66]),
        ({"add_bos_token": True}, [1, 66]),
        ({"add_bos_token": True, "add_eos_token": True}, [1, 66, 2]),
    ],
)
def test_what_is_put_around_a_text_is_what_the_file_or_the_name_says(
    keys: dict[str, Any], expected: list[int], file_of: Write
) -> None:
    tokenizer = tokenizer_of(file_of(**keys))
    letter = tokenizer.token_to_id("a")
    assert tokenizer.encode("a").ids == [letter if token == 66 else token for token in expected]
    assert tokenizer.encode("a", add_special_tokens=False).ids == [letter]


def test_companions_are_the_files_own(file_of: Write) -> None:
    template = "{% for m in messages %}<|im_start|>{{ m.content }}\n{% endfor %}"
    companions = GgufBase(file_of(eot_token_id=0, chat_template=template)).companions()

    assert companions.ends == (2, 0)
    assert companions.chat_template == template
    assert companions.generation_config == {
        "bos_token_id": 1,
        "eos_token_id": [2, 0],
        "pad_token_id": 0,
        "do_sample": False,
    }
    words = {key: companions.tokenizer_config[f"{key}_token"] for key in ("bos", "eos", "pad")}
    assert words == {"bos": "<|im_start|>", "eos": "<|im_end|>", "pad": "<|endoftext|>"}


def test_a_template_is_as_short_as_one_in_a_file(file_of: Write) -> None:
    with pytest.raises(
        Refusal, match=r"m\.gguf: tokenizer\.chat_template must have at most 1048576 bytes, got 1048577"
    ):
        GgufBase(file_of(chat_template="x" * ((1 << 20) + 1))).companions()


def test_companions_are_silent_of_what_the_file_is(file_of: Write) -> None:
    companions = GgufBase(file_of(bos_token_id=None, padding_token_id=None)).companions()
    assert companions.generation_config == {"eos_token_id": 2, "pad_token_id": 2, "do_sample": False}
    assert "bos_token" not in companions.tokenizer_config
    assert companions.chat_template == ""


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"model": "llama"}, "tokenizer.ggml.model must be gpt2, a byte-level BPE, which alone is read, got 'llama'"),
        ({"model": None}, "tokenizer.ggml.model must be gpt2"),
        ({"pre": "smolm"}, "got 'smolm'; did you mean 'smollm'?"),
        ({"pre": None}, "default, got None"),
        ({"tokens": None}, "tokenizer.ggml.tokens is missing or empty"),
        ({"tokens": ["a"] * 320}, "tokenizer.ggml.tokens holds a token twice"),
        ({"tokens": [str(number) for number in range(321)]}, "holds 321 tokens, but the embedding has 320 rows"),
        ({"tokens": [1, 2]}, "tokenizer.ggml.tokens must be a list, each a text"),
        ({"token_type": [1]}, "tokenizer.ggml.token_type holds 1 types for 320 tokens"),
        ({"merges": ["a nowhere"]}, "tokenizer.ggml.merges don't fit the tokens"),
        ({"merges": ["ab"]}, "tokenizer.ggml.merges don't fit the tokens"),
        ({"add_bos_token": True, "bos_token_id": None}, "add_bos_token needs tokenizer.ggml.bos_token_id"),
        ({"add_bos_token": True, "bos_token_id": 320}, "bos_token_id must be one of the 320 tokens, got 320"),
        ({"eos_token_id": None}, "tokenizer.ggml.eos_token_id is missing, so that no text would end"),
    ],
)
def test_a_tokenizer_that_cannot_be_read_is_refused_by_its_key(
    keys: dict[str, Any], sentence: str, file_of: Write
) -> None:
    base = GgufBase(file_of(**keys))
    with pytest.raises(Refusal) as refusal:
        (base.tokenizer(), base.companions())
    assert sentence in str(refusal.value)
    assert str(refusal.value).startswith(str(base.file))
