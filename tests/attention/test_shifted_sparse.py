import pytest
import torch

from ctxext.attention.shifted_sparse import ShiftedSparse
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal
from ctxext.seams import Attention, Sizes

GROUP = 8
TRAINING = ShiftedSparse(GROUP).in_training()


def visible(length: int, num_heads: int, documents: torch.Tensor | None = None) -> torch.Tensor:
    """Return the pairs [H, S, S] of the paper, pair by pair, with the wrapped group cut in two."""
    documents = torch.zeros(length) if documents is None else documents
    starts = [int((documents == document).nonzero()[0]) for document in documents]
    seen = torch.zeros(num_heads, length, length, dtype=torch.bool)
    for head in range(num_heads):
        shift = GROUP // 2 if head >= num_heads - num_heads // 2 else 0
        for query in range(length):
            for key in range(query + 1):
                groups = [(place - starts[place] + shift) // GROUP for place in (query, key)]
                seen[head, query, key] = groups[0] == groups[1] and documents[query] == documents[key]
    return seen


def distances(length: int) -> torch.Tensor:
    return torch.arange(length)[:, None] - torch.arange(length)


@pytest.mark.parametrize("length", [32, 29, 12, 5])
@pytest.mark.parametrize(("num_heads", "num_groups"), [(4, 2), (3, 1), (2, 2)])
def test_each_half_of_the_heads_sees_its_groups_alone(
    length, num_heads, num_groups, drawn_heads, gathered, dense, agree
):
    heads = drawn_heads(length, num_heads, num_groups)
    expected = dense(heads, distances(length), visible(length, num_heads))
    agree(heads, gathered(TRAINING, heads), expected)


@pytest.mark.parametrize("length", [32, 29])
@pytest.mark.parametrize("num_heads", [4, 3])
def test_groups_as_batch_rows_are_groups_as_a_mask(length, num_heads, drawn_heads, gathered, agree):
    heads, one_document = drawn_heads(length, num_heads, 1), torch.zeros(length, dtype=torch.int64)
    as_masks = {"documents": one_document}, {"mask": Sinks(window=32, sinks=2)}  # the sinks are an empty view here
    for packed in as_masks:
        agree(heads, gathered(TRAINING, heads, **packed), gathered(TRAINING, heads))


def test_groups_are_counted_in_the_document_and_bounded_by_a_window(drawn_heads, gathered, dense, agree):
    heads, documents = drawn_heads(30), torch.tensor([0] * 5 + [1] * 19 + [2] * 6)
    packed = visible(30, 4, documents)
    agree(heads, gathered(TRAINING, heads, documents=documents), dense(heads, distances(30), packed))
    near = visible(30, 4) & (distances(30) < 3)
    agree(heads, gathered(TRAINING, heads, mask=SlidingWindow(3)), dense(heads, distances(30), near))


class Rolled(Attention):
    """LongLoRA's published form: shifted heads are rolled, and the text's end joins its beginning."""

    def gather(self, heads, queries, keys, position, mask):
        q, k = position.rotate(heads.q, queries), position.rotate(heads.k, keys)
        k, v = (part.repeat_interleave(2, dim=1) for part in (k, heads.v))
        rows, num_heads, length, width = q.shape

        def rolled(part, shift):
            return torch.cat((part[:, : num_heads // 2], part[:, num_heads // 2 :].roll(shift, dims=2)), dim=1)

        q, k, v = (rolled(part, -GROUP // 2).reshape(rows, num_heads, -1, GROUP, width) for part in (q, k, v))
        outputs = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return rolled(outputs.reshape(rows, num_heads, length, width), GROUP // 2)


def looks_ahead(attention: Attention, heads, gathered, documents=None) -> bool:
    """Return whether an output has a gradient at a later key or value."""
    outputs = gathered(attention, heads, documents=documents)
    for last in range(heads.q.shape[2] - 1):
        gradients = torch.autograd.grad(outputs[:, :, last].sin().sum(), (heads.k, heads.v), retain_graph=True)
        if any(gradient[:, :, last + 1 :].any() for gradient in gradients):
            return True
    return False


def test_nothing_looks_ahead_and_the_published_roll_would_be_found(drawn_heads, gathered):
    heads, documents = drawn_heads(32), torch.arange(32) // 11
    assert not looks_ahead(TRAINING, heads, gathered)
    assert not looks_ahead(TRAINING, heads, gathered, documents)
    assert looks_ahead(Rolled(), heads, gathered)


def test_heads_that_are_not_shifted_and_those_that_are_connect_all_groups():
    reached = torch.eye(32, dtype=torch.bool)
    step = visible(32, 4).any(dim=0)
    for _ in range(8):
        reached = (step.float() @ reached.float()) > 0
    assert reached[31, 0]


def test_only_training_is_sparse(drawn_heads, gathered):
    geometry = DecoderGeometry(67, 24, 40, 2, 4, 2, 8, True, 1e-5)
    torch.manual_seed(0)
    network = geometry.build(Rope(100.0), IntraDocument(), ShiftedSparse(GROUP))
    softmax = network.reading(Rope(100.0), IntraDocument(), Softmax())
    ids = torch.arange(20)[None]
    places = torch.arange(20)[None]
    assert torch.equal(network.eval().hidden(ids, places), softmax.eval().hidden(ids, places))
    assert not torch.allclose(network.train().hidden(ids, places), softmax.train().hidden(ids, places), atol=1e-4)
    assert ShiftedSparse(GROUP).base() == Softmax()


@pytest.mark.parametrize("length", [1, 4, 20])
def test_off_training_is_softmax_to_the_bit(length, drawn_heads, gathered):
    heads = drawn_heads(length)
    off = ShiftedSparse(GROUP).off(length).in_training()
    assert torch.equal(gathered(off, heads), gathered(Softmax(), heads))


def test_an_odd_group_and_a_single_head_are_refused():
    for group in (0, 7):
        with pytest.raises(Refusal, match=rf"attention\.group must be an even number of tokens, .*, got {group}"):
            ShiftedSparse(group)
    with pytest.raises(Refusal, match=r"model\.num_attention_heads must be above 1"):
        ShiftedSparse(8).grown(Sizes(8, 2, 1, 1, 8), None)
