import pytest
import torch

from ctxext.mask.chunked import Chunked
from ctxext.mask.document import IntraDocument
from ctxext.refusal import Refusal


@pytest.mark.parametrize("chunk", [1, 3, 16, 50, 80])
def test_a_token_sees_the_pairs_of_the_formula(seen, chunk):
    length = 50
    meant = [[key <= query and query // chunk == key // chunk for key in range(length)] for query in range(length)]
    assert seen(Chunked(chunk), length)[0].tolist() == meant


def test_the_first_token_of_a_chunk_sees_itself_alone_and_the_last_its_whole_chunk(seen):
    counts = seen(Chunked(5), 20)[0].sum(dim=-1)
    assert counts.tolist() == [1, 2, 3, 4, 5] * 4


def test_it_is_the_mask_of_llama_4(seen):
    masking = pytest.importorskip("transformers.masking_utils")
    overlay = masking.chunked_overlay(7, torch.zeros(1, dtype=torch.int64))
    place = torch.arange(30)
    theirs = overlay(0, 0, place[:, None], place) & masking.causal_mask_function(0, 0, place[:, None], place)
    assert torch.equal(seen(Chunked(7), 30)[0], theirs)


def test_chunks_are_counted_from_the_beginning_of_the_document(seen):
    assert seen(Chunked(4), 3, 6)[0].sum(dim=-1).tolist() == [1, 2, 3, 1, 2, 3, 4, 1, 2]


def test_it_extends_a_model_with_the_causal_mask():
    assert Chunked(3).base() == IntraDocument()


def test_an_empty_chunk_is_refused():
    with pytest.raises(Refusal, match=r"mask\.chunk must be at least 1 token, got 0"):
        Chunked(0)
