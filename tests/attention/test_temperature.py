import math
from types import SimpleNamespace

import pytest
import torch

from ctxext.attention.softmax import Softmax
from ctxext.attention.temperature import Llama4Temperature, Ministral3Temperature, Temperature
from ctxext.mask.document import IntraDocument
from ctxext.places import Places
from ctxext.refusal import Refusal

MEMBERS = (Temperature(1.2), Llama4Temperature(8, 0.1, 1), Ministral3Temperature(8, 0.1))


def scale(member, positions) -> torch.Tensor:
    places = Places.of(torch.as_tensor(positions)[None])
    return member.scale(places, places, IntraDocument().views())


def test_a_constant_multiplies_the_logits_by_its_square(drawn_heads, gathered, dense, agree):
    heads, times = drawn_heads(20), torch.arange(20)
    distances = times[:, None] - times
    agree(heads, gathered(Temperature(1.2), heads), dense(heads, distances, distances >= 0, 1.44))


def test_llama_4_counts_from_1_and_ministral_3_from_0():
    steps = [1 + 0.1 * math.log(1 + floors) for floors in (0, 1, 2)]
    llama = scale(Llama4Temperature(8, 0.1, 1), range(24))[0, 0].tolist()
    assert llama == pytest.approx([steps[0]] * 7 + [steps[1]] * 8 + [steps[2]] * 8 + [1 + 0.1 * math.log(4)])
    ministral = scale(Ministral3Temperature(8, 0.1), range(24))[0, 0].tolist()
    assert ministral == pytest.approx([steps[0]] * 8 + [steps[1]] * 8 + [steps[2]] * 8)


def test_the_scale_by_position_reaches_the_logits(drawn_heads, gathered, dense, agree):
    heads, times = drawn_heads(20), torch.arange(20)
    distances = times[:, None] - times
    rising = 1 + 0.3 * torch.log(1 + torch.floor((times.double() + 1) / 4))
    found = gathered(Llama4Temperature(4, 0.3, 1), heads)
    agree(heads, found, dense(heads, distances, distances >= 0, rising[:, None]))


def test_ministral_3_is_that_of_transformers():
    theirs = pytest.importorskip("transformers.models.ministral3.modeling_ministral3").get_llama_4_attn_scale
    positions = torch.arange(0, 200_000, 777)
    expected = theirs(positions[None], 0.1, 16384)[:, :, :, 0]
    torch.testing.assert_close(scale(Ministral3Temperature(16384, 0.1), positions), expected, rtol=1e-6, atol=0)


def test_llama_4_is_that_of_transformers(monkeypatch):
    llama4 = pytest.importorskip("transformers.models.llama4.modeling_llama4")
    config = pytest.importorskip("transformers").Llama4TextConfig(
        hidden_size=16, num_attention_heads=2, num_key_value_heads=2, head_dim=8, num_hidden_layers=4, floor_scale=8
    )
    layers = [llama4.Llama4TextAttention(config, index) for index in range(4)]
    assert [layer.use_rope for layer in layers] == [
        Llama4Temperature(8, 0.1, 4).layer(index, 4) == Softmax() for index in range(4)
    ]
    queries = {}

    def keep(module, q, k, v, mask, **kwargs):
        queries[module.layer_idx] = q
        return q.transpose(1, 2), None

    interface = SimpleNamespace(get_interface=lambda name, default: keep)
    monkeypatch.setattr(llama4, "ALL_ATTENTION_FUNCTIONS", interface)
    x = torch.randn(1, 40, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        layers[3](x, position_embeddings=None, attention_mask=None)
        plain = layers[3].q_proj(x).view(1, 40, 2, 8).transpose(1, 2)
    expected = queries[3] / plain
    found = scale(Llama4Temperature(8, 0.1, 4), range(40))[..., None].expand(expected.shape)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("length", [1, 7, 64, 4096])
def test_it_is_exactly_1_where_it_is_off_and_not_one_token_later(length):
    for member in MEMBERS:
        off = member.off(length)
        assert (scale(off, range(length)) == 1).all()
        assert member.base() == Softmax()
    for member in MEMBERS[1:]:
        assert (scale(member.off(length), range(length + 1))[..., -1] > 1).all()


def test_only_a_constant_allows_that_labels_shift():
    assert [member.period() for member in MEMBERS] == [1, 0, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Temperature(0), r"attention\.attention_factor must be above 0, got 0"),
        (lambda: Llama4Temperature(0, 0.1, 1), r"attention\.floor_scale must be at least 1 token, got 0"),
        (lambda: Llama4Temperature(8, 0, 1), r"attention\.attn_scale must be above 0, got 0"),
        (lambda: Llama4Temperature(8, 0.1, 0), r"attention\.interval must be at least 1 layer, got 0"),
        (lambda: Ministral3Temperature(0, 0.1), r"original_max_position_embeddings must be at least 1 token, got 0"),
        (lambda: Ministral3Temperature(8, 0), r"attention\.llama_4_scaling_beta must be above 0, got 0"),
    ],
)
def test_settings_without_a_meaning_are_refused(make, message):
    with pytest.raises(Refusal, match=message):
        make()
