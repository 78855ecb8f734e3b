"""What is encoded can be read back, document by document, and only the right tokens are targets."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from ctxext.data import corpus as corpus_module
from ctxext.data.corpus import Corpus, write_corpus
from ctxext.data.documents import Document
from ctxext.data.pairs import pair_of
from ctxext.data.tokenizer import END, as_plain_text, train_tokenizer

TOKENIZER = train_tokenizer(["some words to merge, some words to keep"] * 4, 280)
PLAIN = [Document("a", "some words"), Document("b", "日本語\n\n\n  to keep"), Document("c", "x")]
PAIR = Document("pair", "some question", "words to keep")


def test_every_document_decodes_to_itself_and_ends_with_the_end_token(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path, PLAIN, TOKENIZER)
    assert corpus.names == ["a", "b", "c"]
    assert len(corpus) == 3
    for index, document in enumerate(PLAIN):
        tokens = corpus.document(index)
        assert TOKENIZER.decode(tokens.tolist(), skip_special_tokens=False) == document.text + END
        assert np.count_nonzero(tokens == 0) == 1
    assert corpus.starts[-1] == len(corpus.tokens) == sum(len(corpus.document(index)) for index in range(3))


def test_the_tokens_are_mapped_read_only_and_two_bytes_each(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path, PLAIN, TOKENIZER)
    assert isinstance(corpus.tokens, np.memmap)
    assert corpus.tokens.dtype == np.uint16
    with pytest.raises(ValueError, match=r"read-only"):
        corpus.tokens[0] = 1
    assert not list(tmp_path.glob("targets*"))


def test_a_vocabulary_beyond_two_bytes_takes_four(tmp_path: Path) -> None:
    words = {f"w{index}": index for index in range(70_000)} | {END: 70_000}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=END))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    corpus = write_corpus(tmp_path, [Document("a", "w69999 w1")], tokenizer)
    assert corpus.tokens.dtype == np.uint32
    assert corpus.tokens.tolist() == [69_999, 1, 70_000]


def test_of_a_pair_only_the_target_and_the_end_are_targets(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path, [PLAIN[0], PAIR, PLAIN[1]], TOKENIZER)
    assert corpus.targets is not None
    assert len(corpus.targets) == len(corpus.tokens)
    first, last = corpus.starts[1], corpus.starts[2]
    assert corpus.targets[:first].all()
    assert corpus.targets[last:].all()
    chosen = corpus.document(1)[corpus.targets[first:last]]
    others = corpus.document(1)[~corpus.targets[first:last]]
    assert TOKENIZER.decode(chosen.tolist(), skip_special_tokens=False) == PAIR.target + END
    assert TOKENIZER.decode(others.tolist()) == PAIR.text + "\n"


def test_pairs_are_kept_as_texts_in_the_order_of_the_documents(tmp_path: Path) -> None:
    other = Document("other", "in", "out", ("or this",), "x")
    corpus = write_corpus(tmp_path / "pairs", [PLAIN[0], PAIR, PLAIN[1], other], TOKENIZER)
    assert corpus.pairs == Corpus.open(tmp_path / "pairs").pairs == [pair_of(PAIR), pair_of(other)]
    assert not list(write_corpus(tmp_path / "plain", PLAIN, TOKENIZER).pairs)
    assert not (tmp_path / "plain" / "pairs.jsonl").exists()


@pytest.mark.parametrize("words", [("<s>",), ("<g>", "<s>")])
def test_every_document_begins_as_the_template_says_and_never_as_a_target(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    begun, documents = Tokenizer.from_str(TOKENIZER.to_str()), [PLAIN[0], PAIR, PLAIN[1]]
    begun.add_special_tokens(list(words))
    ids = [(word, begun.token_to_id(word)) for word in words]
    begun.post_processor = TemplateProcessing(single=f"{' '.join(words)} $A", special_tokens=ids)
    plain = write_corpus(tmp_path / "plain", documents, TOKENIZER)
    corpus = write_corpus(tmp_path / "begun", documents, as_plain_text(begun))
    begin = [token for _, token in ids]

    assert (list(corpus.beginning), plain.beginning) == (begin, ())
    for index in range(3):
        assert corpus.document(index).tolist() == begin + plain.document(index).tolist()
        assert targets_of(corpus, index) == [False] * len(begin) + targets_of(plain, index)


def targets_of(corpus: Corpus, index: int) -> list[bool]:
    assert corpus.targets is not None
    found: list[bool] = corpus.targets[corpus.starts[index] : corpus.starts[index + 1]].tolist()
    return found


def test_files_from_before_there_were_beginnings_have_none(tmp_path: Path) -> None:
    write_corpus(tmp_path, PLAIN, TOKENIZER)
    record = json.loads((tmp_path / "corpus.json").read_text())
    del record["beginning"]
    (tmp_path / "corpus.json").write_text(json.dumps(record))

    assert Corpus.open(tmp_path).beginning == ()


def test_batches_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [*PLAIN, PAIR, *PLAIN]
    whole = write_corpus(tmp_path / "whole", documents, TOKENIZER)
    monkeypatch.setattr(corpus_module, "BATCH_CHARACTERS", 25)
    assert [len(batch) for batch in corpus_module.batches(documents)] == [2, 1, 1, 2, 1]
    parts = write_corpus(tmp_path / "parts", documents, TOKENIZER)
    for left, right in ((whole.tokens, parts.tokens), (whole.starts, parts.starts), (whole.targets, parts.targets)):
        assert np.array_equal(np.asarray(left), np.asarray(right))


def test_no_documents_make_an_empty_corpus(tmp_path: Path) -> None:
    write_corpus(tmp_path, [], TOKENIZER)
    corpus = Corpus.open(tmp_path)
    assert (len(corpus), len(corpus.tokens), corpus.starts.tolist(), corpus.targets) == (0, 0, [0], None)
