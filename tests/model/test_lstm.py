import torch

from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import LstmGeometry
from ctxext.position.rope import Rope

SEAMS = Rope(10000.0), IntraDocument(), Softmax()


def small():
    torch.manual_seed(0)
    return LstmGeometry(50, 8, 12, 2).build(*SEAMS)


def tokens(rows: int, length: int) -> torch.Tensor:
    return torch.randint(50, (rows, length), generator=torch.Generator().manual_seed(1))


def places(like: torch.Tensor) -> torch.Tensor:
    return torch.arange(like.shape[1]).expand(like.shape)


def test_the_lstm_of_the_example_has_9266960_parameters(built):
    network = built("+method=lstm").model.build(*SEAMS)
    assert sum(parameter.numel() for parameter in network.parameters()) == 9_266_960


def test_the_state_is_carried_from_call_to_call():
    network, ids = small(), tokens(2, 20)
    cache = network.new_cache()
    parts = [network.hidden(part, places(part), cache=cache) for part in ids.split((7, 1, 12), dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), network.hidden(ids, places(ids)))
    assert not torch.allclose(parts[2], network.hidden(ids[:, 8:], places(ids)[:, 8:]))


def test_a_repeated_state_goes_on_as_each_of_its_rows():
    network, ids, endings = small(), tokens(2, 9), tokens(6, 3)
    assert network.new_cache().repeat(3).state is None
    cache = network.new_cache()
    network.hidden(ids, places(ids), cache=cache)
    ended = network.hidden(endings, places(endings), cache=cache.repeat(3))
    whole = torch.cat((ids.repeat_interleave(3, dim=0), endings), dim=1)
    torch.testing.assert_close(ended, network.hidden(whole, places(whole))[:, 9:])


def test_later_tokens_leave_earlier_outputs_as_they_are_to_the_bit():
    network, ids = small(), tokens(1, 20)
    changed = ids.clone()
    changed[:, 11:] = 0
    assert torch.equal(network.hidden(ids, places(ids))[:, :11], network.hidden(changed, places(ids))[:, :11])


def test_it_unembeds_with_weights_and_a_bias_of_its_own():
    network = small()
    weight, bias, cap = network.unembedding
    assert (weight.shape, bias.shape, cap) == ((50, 12), (50,), 0)
    assert network.reading(*SEAMS) is network
