"""What samples are made of: ids that may stand in a text, and sentences of the corpus."""

import pytest
from tokenizers import Tokenizer

from ctxext.data.corpus import Corpus, write_corpus
from ctxext.data.documents import Document
from ctxext.data.material import CorpusMaterial
from ctxext.data.tokenizer import end_token, train_tokenizer

TEXTS = ["The mill is old. Who keeps it?  Nobody does!", "A river runs.\nIt turns a wheel."]


@pytest.fixture
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS * 5, 300)


@pytest.fixture
def material(tokenizer: Tokenizer, tmp_path) -> CorpusMaterial:
    documents = [Document(str(number), text) for number, text in enumerate(TEXTS)]
    corpus: Corpus = write_corpus(tmp_path / "text", documents, tokenizer)
    return CorpusMaterial(corpus, tokenizer)


def test_sentences_come_in_order_with_one_space_before_each_and_none_inside_a_gap(material):
    assert material.sentences[:3] == [" The mill is old.", " Who keeps it?", " Nobody does!"]
    assert material.sentences[3:] == [" A river runs.", " It turns a wheel."]


def test_no_ordinary_id_is_a_control_token_and_all_others_are(material, tokenizer):
    controls = {end_token(tokenizer)}
    assert set(material.ordinary) == set(range(tokenizer.get_vocab_size())) - controls
    assert len(material.ordinary) == len(set(material.ordinary))


def test_a_text_is_encoded_without_control_tokens(material, tokenizer):
    ids = material.encode(" The mill is old.")
    assert end_token(tokenizer) not in ids
    assert tokenizer.decode(ids) == " The mill is old."
