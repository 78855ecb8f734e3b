import math

import pytest
import torch
from torch import Tensor

from ctxext.attention.recurrence import Recurrence
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.places import Places
from ctxext.position.cope import Cope, CopeLayer, Counted
from ctxext.refusal import Refusal
from ctxext.seams import Attention, Heads, Mask, Sizes

SIZES = Sizes(24, 2, 4, 2, 8)


def layer(num_positions: int = 6) -> CopeLayer:
    grown = Cope(num_positions).grown(SIZES, None).layer(0, 2)
    assert isinstance(grown, CopeLayer)
    with torch.no_grad():
        grown.table.normal_(generator=torch.Generator().manual_seed(0))
    return grown


def drawn(length: int = 12) -> tuple[Tensor, Tensor, Tensor]:
    """Queries [1, 2, S, 8], logits [1, 2, S, S] and what is visible of a causal text."""
    draw = torch.Generator().manual_seed(1)
    q, logits = torch.randn(1, 2, length, 8, generator=draw), 2 * torch.randn(1, 2, length, length, generator=draw)
    return q, logits, torch.ones(length, length, dtype=torch.bool).tril()[None, None]


def oracle(table: Tensor, q: Tensor, logits: Tensor, visible: Tensor, query: int, key: int) -> float:
    """Count the gates from the key to the query one by one, and look the count up between two rows."""
    gates = [1 / (1 + math.exp(-logits[t].item())) for t in range(key, query + 1) if visible[t]]
    count = min(sum(gates), len(table) - 1)
    low, high = math.floor(count), math.ceil(count)
    scores = [sum(a * b for a, b in zip(q.tolist(), table[row].tolist(), strict=True)) for row in (low, high)]
    return scores[0] + (count - low) * (scores[1] - scores[0])


@pytest.mark.parametrize("num_positions", [6, 64])
def test_the_bias_is_the_formula_of_the_paper(num_positions):
    learned, (q, logits, visible) = layer(num_positions), drawn()
    found = learned.contextual_bias(q, logits, visible)
    assert found.dtype == torch.float32
    for head in range(2):
        for query in range(12):
            for key in range(query + 1):
                row = q[0, head, query], logits[0, head, query], visible[0, 0, query]
                wanted = oracle(learned.table, *row, query, key)
                assert found[0, head, query, key].item() == pytest.approx(wanted, abs=1e-5)


def test_gradients_are_those_of_the_written_out_formula():
    draw = torch.Generator().manual_seed(2)
    scores, logits = torch.randn(1, 2, 5, 4, generator=draw), 2 * torch.randn(1, 2, 5, 9, generator=draw)
    visible = torch.ones(5, 9, dtype=torch.bool).tril(4)[None, None]
    doubles = scores.double().requires_grad_(), logits.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda *parts: Counted.apply(*parts, visible), doubles)


def test_gates_of_unseen_keys_are_shut_before_they_are_summed():
    learned, (q, logits, visible) = layer(), drawn()
    before = learned.contextual_bias(q, logits, visible)
    changed = torch.where(visible, logits, 9.0)
    assert torch.equal(before.tril(), learned.contextual_bias(q, changed, visible).tril())
    logits.requires_grad_()
    learned.contextual_bias(q, logits, visible).tril().sum().backward()
    assert not logits.grad.triu(1).any()
    assert logits.grad.tril().any()


def test_a_window_counts_only_what_it_shows():
    learned, (q, logits, visible) = layer(64), drawn()
    window = visible.triu(-3)
    found = learned.contextual_bias(q, logits, window)
    for key in (8, 9, 11):
        wanted = oracle(learned.table, q[0, 0, 11], logits[0, 0, 11], window[0, 0, 11], 11, key)
        assert found[0, 0, 11, key].item() == pytest.approx(wanted, abs=1e-5)


def test_counts_beyond_the_last_position_are_alike():
    learned, (q, _, visible) = layer(4), drawn()
    found = learned.contextual_bias(q, torch.full((1, 2, 12, 12), 20.0), visible)
    last = (q @ learned.table[3])[:, :, 11, None]
    torch.testing.assert_close(found[:, :, 11, :9], last.expand(-1, -1, 9))
    assert not torch.allclose(found[:, :, 11, 10], found[:, :, 11, 11])


def test_it_begins_as_no_position_and_every_layer_learns_one_table_for_all_heads():
    part = Cope(16).grown(SIZES, None)
    assert {name: tuple(t.shape) for name, t in part.state_dict().items()} == {
        f"layers.{i}.table": (16, 8) for i in (0, 1)
    }
    assert not part.layer(1, 2).contextual_bias(*drawn()).any()


def test_counts_stay_in_single_precision_under_autocast():
    learned, (q, logits, visible) = layer(64), drawn(length=300)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = learned.contextual_bias(q, logits, visible)
    assert torch.equal(found, learned.contextual_bias(q, logits, visible))


def test_fewer_than_2_positions_are_refused():
    with pytest.raises(Refusal, match=r"position\.num_positions must be at least 2, got 1"):
        Cope(1)


def through(learned: CopeLayer, mask: Mask, attention: Attention) -> Tensor:
    """Return what 4 heads gather from a text of 40 tokens."""
    draw = torch.Generator().manual_seed(2)
    q, k, v = (torch.randn(1, heads, 40, 8, generator=draw) for heads in (4, 2, 2))
    places = Places.of(torch.arange(40)[None])
    heads = Heads(q, k, v, (), torch.zeros(1, 40, 24), lambda states: (q, k, v))
    return attention.gather(heads, places, places, learned, mask)


def test_gates_are_counted_over_all_that_a_mask_shows_however_many_views_it_has(each_mask):
    learned = layer(64)
    mask = each_mask.grown(SIZES, None).layer(0, 2)
    views, places = mask.views(), Places.of(torch.arange(40)[None])
    seen = torch.stack([(view.visible(places, places)[0] & torch.ones(4, 1, 1, dtype=torch.bool)) for view in views])
    weighed = sum(view.weigh(places, places)[0] * view.visible(places, places)[0] for view in views if view.weigh)
    visible, draw = seen.any(dim=0), torch.Generator().manual_seed(2)
    q, k, v = (torch.randn(1, heads, 40, 8, generator=draw).double()[0] for heads in (4, 2, 2))
    k, v = k[[0, 0, 1, 1]], v[[0, 0, 1, 1]]
    logits = q @ k.transpose(-1, -2) / math.sqrt(8) + weighed
    gates = logits.sigmoid() * visible
    counts = torch.stack([gates[..., key:].sum(dim=-1) for key in range(40)], dim=-1).clamp(max=63)
    rows = q @ learned.table.detach().double().T
    low, high = (torch.gather(rows, -1, rounded.long()) for rounded in (counts.floor(), counts.ceil()))
    logits = logits + low + (counts - counts.floor()) * (high - low)
    expected = logits.masked_fill(~visible, -math.inf).softmax(dim=-1) @ v
    torch.testing.assert_close(through(learned, mask, Softmax())[0].double(), expected, rtol=1e-4, atol=1e-5)


def test_a_mechanism_that_trains_on_other_gradients_trains_the_same_outputs():
    learned, attention = layer(64), Recurrence(8, 5)
    reading, training = (through(learned, IntraDocument(), form) for form in (attention, attention.in_training()))
    torch.testing.assert_close(training, reading, rtol=1e-4, atol=1e-5)
