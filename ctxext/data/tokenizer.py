"""The byte-level BPE tokenizer: how it is trained, loaded, and how many bytes each of its tokens stands for.

Shapes: V vocabulary.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from ctxext.refusal import Refusal, require

END = "<|endoftext|>"
KNOWN_ENDS = (
    END,
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "[EOS]",
    "<|eos|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<end_of_turn>",
    "[SEP]",
)
"""What ends a text in the tokenizers of the field; what ends a turn comes after what ends a document."""
SMALLEST_VOCABULARY = 257
PANIC = "PanicException"


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train a byte-level BPE of at most `vocab_size` tokens on `texts`; refuse a size without room for each byte."""
    require(
        vocab_size >= SMALLEST_VOCABULARY,
        f"model.vocab_size must be at least {SMALLEST_VOCABULARY} (each byte, and the end of a text), got {vocab_size}",
    )
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return as_plain_text(tokenizer)


def load_tokenizer(path: Path) -> Tokenizer:
    """Load the tokenizer.json at `path`; refuse a file that is missing or isn't one."""
    require(path.is_file(), f"{path}: no such tokenizer file")
    try:
        return as_plain_text(Tokenizer.from_file(str(path)))
    except Exception as error:  # the library raises bare Exception
        raise Refusal(f"{path}: not a tokenizer.json ({error})") from error


@contextmanager
def tokenizing() -> Iterator[None]:
    """Refuse a text over which the library of tokenizers gives up: its panic is no Exception, and passes by those."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != PANIC:
            raise
        reason = str(error).partition("\n")[0]
        raise Refusal(f"the tokenizer gives up on a text ({reason}); use a base with another") from error


def as_plain_text(tokenizer: Tokenizer) -> Tokenizer:
    """Make `tokenizer` split control tokens in a text as it does any other characters (its file doesn't keep this).

    Nor does it cut off a text, or fill one up, whatever its file says.
    """
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def end_token(tokenizer: Tokenizer) -> int:
    """Return the id that ends a document; refuse a tokenizer that has none of the known ones."""
    found = [token for word in KNOWN_ENDS if (token := tokenizer.token_to_id(word)) is not None]
    added = tokenizer.get_added_tokens_decoder()
    # Of Gemma's tokens, <eos> ends a text and </s> is a tag of HTML.
    controls = [token for token in found if token in added and added[token].special]
    for token in (*controls, *found):
        return int(token)
    raise Refusal(f"the tokenizer has no token that ends a text (one of {', '.join(KNOWN_ENDS)})")


def beginning(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the control tokens that the template of `tokenizer` puts before every text: models were trained so."""
    encoded = tokenizer.encode("a")
    marked = takewhile(lambda pair: pair[1], zip(encoded.ids, encoded.special_tokens_mask, strict=True))
    return tuple(token for token, _ in marked)


def byte_lengths(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Return how many UTF-8 bytes each token stands for [V], 0 for control tokens."""
    lengths = np.zeros(tokenizer.get_vocab_size(with_added_tokens=True), dtype=np.int64)
    added = tokenizer.get_added_tokens_decoder()
    byte_level = '"ByteLevel"' in json.dumps(json.loads(tokenizer.to_str())["decoder"])
    for word, token in tokenizer.get_vocab(with_added_tokens=True).items():
        if token in added:
            lengths[token] = 0 if added[token].special else len(word.encode())
        else:
            # Byte-level BPE spells each byte as one character.
            lengths[token] = len(word) if byte_level else sentencepiece_length(word)
    return lengths


def sentencepiece_length(word: str) -> int:
    """Return the bytes of a SentencePiece `word`, which spells a space as a low bar and a rare byte as <0xNN>."""
    if len(word) == 6 and word.startswith("<0x"):
        return 1
    return len(word.replace("\u2581", " ").encode())
