"""No text becomes a control token, whichever model looks it up, and everything else is encoded as before."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from ctxext.data.corpus import Corpus, encode
from ctxext.data.documents import Document
from ctxext.data.files import Jsonl
from ctxext.data.lettering import controls, lettered
from ctxext.data.material import CorpusMaterial
from ctxext.data.prepare import prepare
from ctxext.data.tokenizer import as_plain_text, end_token, train_tokenizer

END = "</s>"
LETTERS = ["<", "/", "s", ">", "a", "b", "c", "▁"]
WORDS = ["<unk>", END, *LETTERS, "ab"]
IDS = {word: number for number, word in enumerate(WORDS)}


def unigram() -> models.Model:
    return models.Unigram([(word, -float(1 + len(word) % 3)) for word in WORDS], unk_id=0)


def word_level() -> models.Model:
    return models.WordLevel(IDS, unk_token="<unk>")


def word_piece() -> models.Model:
    pieces = IDS | {f"##{word}": len(IDS) + number for number, word in enumerate(LETTERS)}
    return models.WordPiece(pieces, unk_token="<unk>")


def whole_words() -> models.Model:
    return models.BPE(IDS, [("a", "b")], ignore_merges=True)


@pytest.fixture(params=[unigram, word_level, word_piece, whole_words])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    made = Tokenizer(request.param())
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens(["<unk>", END, "<far>"])
    made.add_tokens(["<think>"])
    return as_plain_text(made)


def test_a_control_token_in_a_text_is_no_control_token(tokenizer: Tokenizer) -> None:
    assert IDS[END] in tokenizer.encode(f"ab {END}", add_special_tokens=False).ids  # what splitting alone leaves
    for text in (f"ab {END} ab", END, f"{END}{END}", "<far>", f"ab{END}ab"):
        ids = lettered(tokenizer).encode(text, add_special_tokens=False).ids
        assert IDS[END] not in ids
        assert tokenizer.token_to_id("<far>") not in ids


def test_other_texts_and_ids_stay_as_they_were(tokenizer: Tokenizer) -> None:
    for text in ("ab a b", "abc cab", "a <think> b", "é ab"):
        assert lettered(tokenizer).encode(text).ids == tokenizer.encode(text).ids


def test_documents_and_tasks_are_encoded_so(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tokens, _), *_ = encode([Document("d", f"ab {END} ab")], tokenizer, np.dtype(np.uint16))
    assert tokens.tolist().count(IDS[END]) == 1
    assert tokens[-1] == end_token(tokenizer) == IDS[END]
    corpus = Corpus(tokens, tokens, ["d"], None)
    assert IDS[END] not in CorpusMaterial(corpus, tokenizer).encode(f"ab {END}")


def test_what_ends_a_text_is_a_control_token_without_a_flag_too() -> None:
    made = Tokenizer(unigram())
    made.add_tokens([AddedToken(END, special=False)])
    assert controls(made) == [END]
    assert IDS[END] not in lettered(as_plain_text(made)).encode(f"ab{END}").ids


def test_a_tokenizer_whose_control_tokens_nothing_spells_is_itself() -> None:
    made = Tokenizer(models.BPE({"a": 0}, []))
    made.add_special_tokens([END])
    assert lettered(made) is made


def test_a_tokenizer_trained_here_encodes_the_same_and_not_its_end() -> None:
    made = train_tokenizer(["The code of Ada is 48151."] * 3, 300)
    for text in ("The code of Ada", "é🙂 漢\n"):
        assert lettered(made).encode(text).ids == made.encode(text).ids
    assert end_token(made) not in lettered(made).encode("<|endoftext|>").ids


def test_added_words_without_the_flag_are_counted_as_tokens(tmp_path: Path) -> None:
    made = train_tokenizer(["abc abd abe"] * 9, 300)
    made.add_tokens(["<think>", "  "])
    texts = [f"{number} a  b" + " <think>" * (number < 3) + " <|endoftext|>" * (number < 2) for number in range(9)]
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    data = prepare(Jsonl(path=str(file), near_duplicates=1), made, 300, tmp_path / "cache")
    told = Counter({row.outcome: row.documents for row in data.ledger if row.outcome.startswith("as ")})
    assert told == {"as text: control tokens": 2, "as tokens: added tokens": 3}
