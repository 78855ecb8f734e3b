"""What must hold for every legal composition of a position, a mask and an attention mechanism."""

import math
from dataclasses import fields, replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from ctxext.attention.log_n import LogN
from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.decoder import Decoder, gathered
from ctxext.model.geometry import DecoderGeometry, VanillaGeometry
from ctxext.places import Places
from ctxext.position.alibi import Alibi
from ctxext.position.rope import Rope
from ctxext.position.sinusoidal import Sinusoidal
from ctxext.seams import Attention, Mask, Position

LLAMA = DecoderGeometry(
    vocab_size=67,
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    tie_word_embeddings=True,
    rms_norm_eps=1e-5,
)
BIASED = replace(LLAMA, attention_bias=True)
VANILLA = VanillaGeometry(67, 32, 40, 2, 4, 1e-5)
LENGTH = 60
TRAINED = 16  # of every small composition


def decoder(position: Position, mask: Mask, attention: Attention) -> Decoder:
    """Return a decoder of the sizes `LLAMA` with weights drawn by `drawn`."""
    return drawn(LLAMA, position, mask, attention)


def drawn(geometry, position: Position, mask: Mask, attention: Attention) -> Decoder:
    """Return a network of `geometry` whose weights are large enough that every method shows, the same in every call."""
    torch.manual_seed(0)
    network = geometry.build(position, mask, attention)
    draw = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.data.normal_(mean=float(parameter.dim() < 2), std=0.3, generator=draw)
    return network.eval()


def tokens(rows: int = 1, length: int = LENGTH) -> Tensor:
    """Return random tokens [rows, length]."""
    return torch.randint(LLAMA.vocab_size, (rows, length), generator=torch.Generator().manual_seed(2))


def places(like: Tensor) -> Tensor:
    """Return the positions of single documents."""
    return torch.arange(like.shape[1]).expand(like.shape)


def hidden(network: Decoder, ids: Tensor) -> Tensor:
    """Return the hidden states of single documents."""
    return network.hidden(ids, places(ids))


@pytest.mark.parametrize("trains", [False, True], ids=["eval", "train"])
def test_no_output_has_a_gradient_at_a_later_embedding(composition, trains):
    network, ids = decoder(*composition[1:]).train(trains), tokens()
    embedded: list[Tensor] = []
    network.embed_tokens.register_forward_hook(lambda module, inputs, output: embedded.append(output))
    outputs = hidden(network, ids)
    for last in (0, TRAINED - 1, TRAINED, 37):
        (gradient,) = torch.autograd.grad(outputs[:, last].sin().sum(), embedded[0], retain_graph=True)
        assert gradient[:, last].any()
        assert not gradient[:, last + 1 :].any()


def test_later_tokens_leave_earlier_outputs_as_they_are_to_the_bit(composition):
    network, ids = decoder(*composition[1:]), tokens()
    before = hidden(network, ids)
    for first in (1, TRAINED, 41):
        changed = ids.clone()
        changed[:, first:] = (changed[:, first:] + 1) % LLAMA.vocab_size
        after = hidden(network, changed)
        assert torch.equal(before[:, :first], after[:, :first])
        assert not torch.equal(before[:, first], after[:, first])


def steady(composition) -> int:
    """Return a length up to which what was read from a shorter text is still what a longer one would give."""
    return LENGTH if all(member.keeps_prefix() for member in composition[-3:]) else TRAINED


def test_reading_in_chunks_through_the_cache_gives_what_reading_at_once_gives(composition):
    network, ids = decoder(*composition[1:]), tokens(rows=2, length=steady(composition))
    cache, read, starts = network.new_cache(), [], (0, 7, 13, *range(22, LENGTH))
    for start, stop in pairwise([*(start for start in starts if start < ids.shape[1]), ids.shape[1]]):
        read.append(network.hidden(ids[:, start:stop], places(ids)[:, start:stop], cache=cache))
    torch.testing.assert_close(torch.cat(read, dim=1), hidden(network, ids), rtol=1e-3, atol=1e-4)


def test_a_repeated_cache_goes_on_as_each_of_its_rows(composition):
    network, ids = decoder(*composition[1:]), tokens(rows=2, length=steady(composition))
    cache = network.new_cache()
    network.hidden(ids[:, :-3], places(ids)[:, :-3], cache=cache)
    endings = tokens(rows=6, length=3)
    whole = torch.cat((ids[:, :-3].repeat_interleave(3, dim=0), endings), dim=1)
    ended = network.hidden(endings, places(whole)[:, -3:], cache=cache.repeat(3))
    torch.testing.assert_close(ended, hidden(network, whole)[:, -3:], rtol=1e-3, atol=1e-4)
    assert cache.size == ids.shape[1] - 3  # what was repeated is left as it was


def test_appended_tokens_leave_the_outputs_before_them_where_the_composition_says_so(composition):
    network, ids = decoder(*composition[1:]), tokens()
    whole = hidden(network, ids)
    starts = [hidden(network, ids[:, :length]) for length in (TRAINED, TRAINED + 7)]
    same = [torch.allclose(whole[:, : start.shape[1]], start, rtol=1e-3, atol=1e-4) for start in starts]
    assert all(same) is all(member.keeps_prefix() for member in composition[1:])


def test_packed_documents_are_read_as_if_alone(composition):
    network, ids, lengths = decoder(*composition[1:]), tokens(), (5, 1, 34, 20)
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    documents = torch.repeat_interleave(torch.arange(4), torch.tensor(lengths))[None]
    packed = network.hidden(ids, positions, documents).split(lengths, dim=1)
    for found, alone in zip(packed, ids.split(lengths, dim=1), strict=True):
        torch.testing.assert_close(found, hidden(network, alone), rtol=1e-3, atol=1e-4)


def test_a_row_does_not_depend_on_the_others_of_its_batch(composition):
    network, ids = decoder(*composition[1:]), tokens(rows=3)
    others = ids.clone()
    others[[0, 2]] = (others[[0, 2]] + 1) % LLAMA.vocab_size
    assert torch.equal(hidden(network, ids)[1], hidden(network, others)[1])
    torch.testing.assert_close(hidden(network, ids)[1:2], hidden(network, ids[1:2]), rtol=1e-3, atol=1e-4)


def test_labels_may_shift_by_the_period_that_the_composition_states_and_by_no_other(composition):
    network, ids = decoder(*composition[1:]), tokens()
    periods = [member.period() for member in composition[1:]]
    here, period = hidden(network, ids), math.lcm(*periods) if all(periods) else 0
    if period:
        shifted = network.hidden(ids, places(ids) + 3 * period)
        torch.testing.assert_close(here, shifted, rtol=1e-3, atol=1e-4)
    if period != 1:
        shifted = network.hidden(ids, places(ids) + 1)
        assert not torch.allclose(here, shifted, rtol=1e-3, atol=1e-4)


def test_saved_weights_give_the_same_bits_in_another_network(composition):
    network, ids = decoder(*composition[1:]), tokens()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    other = LLAMA.build(*composition[1:]).eval()
    assert not torch.equal(hidden(network, ids), hidden(other, ids))
    other.load_state_dict(state)
    assert torch.equal(hidden(network, ids), hidden(other, ids))


@pytest.mark.parametrize(
    "check",
    [
        test_later_tokens_leave_earlier_outputs_as_they_are_to_the_bit,
        test_reading_in_chunks_through_the_cache_gives_what_reading_at_once_gives,
        test_a_repeated_cache_goes_on_as_each_of_its_rows,
        test_packed_documents_are_read_as_if_alone,
        test_a_row_does_not_depend_on_the_others_of_its_batch,
        test_labels_may_shift_by_the_period_that_the_composition_states_and_by_no_other,
        test_appended_tokens_leave_the_outputs_before_them_where_the_composition_says_so,
        test_saved_weights_give_the_same_bits_in_another_network,
    ],
    ids=lambda check: check.__name__,
)
def test_all_of_this_holds_with_biases_too(check, monkeypatch):
    monkeypatch.setitem(globals(), "LLAMA", BIASED)
    check(("rope", Rope(10000.0), IntraDocument(), Softmax()))


def effect(slot: str, member: Position | Mask | Attention) -> None:
    """Check that `member` changes what is read beyond the trained length, and nothing once it is neutral."""
    base = member.base()
    if base == member:
        pytest.skip("it extends nothing: a model is trained with it")
    choice = {"position": Rope(10000.0), "mask": IntraDocument(), "attention": Softmax(), slot: base}
    reach = choice["position"].limit() or LENGTH  # a base may read nothing beyond; what extends it then differs within
    untouched, ids, first = decoder(**choice), tokens(length=reach), TRAINED if reach > TRAINED else 0
    expected = hidden(untouched, ids)
    off = member.off(LENGTH)
    if off is not None:
        assert torch.equal(hidden(untouched.reading(**{**choice, slot: off}), ids), expected)
    extended = untouched.reading(**{**choice, slot: member})
    shared = set(untouched.parameters())
    for parameter in extended.learned.parameters():
        if parameter not in shared:
            parameter.data.normal_(std=0.3)  # what is learned may begin as exactly the base
    found = hidden(extended.train(), ids)  # some stand in for others in training alone
    assert not torch.allclose(found[:, first:], expected[:, first:], rtol=1e-2, atol=1e-2)


def test_a_position_has_an_effect_and_none_when_it_is_neutral(each_position):
    effect("position", each_position)


def test_a_mask_has_an_effect_and_none_when_it_is_neutral(each_mask):
    effect("mask", each_mask)


def test_an_attention_mechanism_has_an_effect_and_none_when_it_is_neutral(each_attention):
    effect("attention", each_attention)


@pytest.mark.parametrize("member", [LogN(TRAINED), SelfExtend(TRAINED, 4)])
def test_what_extends_attention_leaves_lengths_within_its_reach_to_the_bit(member):
    untouched = decoder(Rope(10000.0), IntraDocument(), Softmax())
    extended = untouched.reading(Rope(10000.0), IntraDocument(), member)
    for length, same in ((TRAINED - 1, True), (TRAINED, True), (TRAINED + 1, False)):
        ids = tokens(length=length)
        assert torch.equal(hidden(untouched, ids), hidden(extended, ids)) is same


@pytest.mark.parametrize("member", [SlidingWindow(TRAINED), Sinks(TRAINED, 2)])
def test_a_window_changes_nothing_up_to_its_size_and_something_one_token_later(member):
    untouched = decoder(Rope(10000.0), IntraDocument(), Softmax())
    windowed = untouched.reading(Rope(10000.0), member, Softmax())
    assert torch.equal(hidden(untouched, tokens(length=TRAINED)), hidden(windowed, tokens(length=TRAINED)))
    ids = tokens(length=TRAINED + 4)
    assert not torch.equal(hidden(untouched, ids)[:, -1], hidden(windowed, ids)[:, -1])


def test_a_reading_shares_the_weights_and_leaves_the_seams_of_the_first():
    network = decoder(Rope(10000.0), IntraDocument(), Softmax())
    other = network.reading(Alibi(), SlidingWindow(3), LogN(8))
    assert all(a is b for a, b in zip(network.parameters(), other.parameters(), strict=True))
    assert (network.position, network.mask, network.attention) == (Rope(10000.0), IntraDocument(), Softmax())
    assert (other.position, other.mask, other.attention) == (Alibi(), SlidingWindow(3), LogN(8))


def test_each_layer_has_the_member_that_answers_for_it():
    class Alternating(IntraDocument):
        def layer(self, index: int, count: int) -> Mask:
            return SlidingWindow(count) if index % 2 else IntraDocument()

    network = decoder(Rope(10000.0), Alternating(), Softmax())
    assert [mask for _, mask, _ in network.members] == [IntraDocument(), SlidingWindow(2)]
    uniform = network.reading(Rope(10000.0), IntraDocument(), Softmax())
    assert not torch.equal(hidden(network, tokens()), hidden(uniform, tokens()))


def test_parameters_have_the_names_of_llama_without_its_prefix():
    layer = [f"self_attn.{p}_proj" for p in "qkvo"] + [f"mlp.{p}_proj" for p in ("gate", "up", "down")]
    layer += ["input_layernorm", "post_attention_layernorm"]
    names = {"embed_tokens.weight", "norm.weight"} | {f"layers.{i}.{part}.weight" for i in range(2) for part in layer}
    member = Rope(10000.0), IntraDocument(), Softmax()
    assert set(LLAMA.build(*member).state_dict()) == names
    untied = replace(LLAMA, tie_word_embeddings=False).build(*member)
    assert set(untied.state_dict()) == names | {"lm_head.weight"}
    assert untied.unembedding[0] is untied.lm_head.weight
    tied = LLAMA.build(*member)
    assert tied.unembedding[0] is tied.embed_tokens.weight


@pytest.mark.parametrize(("geometry", "family"), [(LLAMA, "Llama"), (BIASED, "Qwen2")])
def test_the_decoder_gives_the_logits_of_its_family(geometry, family):
    transformers = pytest.importorskip("transformers")
    sizes = {field.name: getattr(geometry, field.name) for field in fields(geometry) if field.name != "attention_bias"}
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    config = getattr(transformers, f"{family}Config")(**sizes, rope_parameters=rope)
    llama = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    network, ids = drawn(geometry, Rope(10000.0), IntraDocument(), Softmax()), tokens(rows=2)
    llama.model.load_state_dict(network.state_dict())
    weight, bias, cap = network.unembedding
    assert (bias, cap) == (None, 0)
    with torch.no_grad():
        torch.testing.assert_close(hidden(network, ids) @ weight.T, llama(ids).logits, rtol=1e-4, atol=1e-3)


def test_the_vanilla_transformer_reads_causally_and_through_its_cache():
    network, ids = drawn(VANILLA, Sinusoidal(10000.0), IntraDocument(), Softmax()), tokens()
    whole, cache = hidden(network, ids), network.new_cache()
    parts = [network.hidden(ids[:, at : at + 20], places(ids)[:, at : at + 20], cache=cache) for at in (0, 20, 40)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-3, atol=1e-4)
    changed = ids.clone()
    changed[:, 33:] = 0
    assert torch.equal(hidden(network, changed)[:, :33], whole[:, :33])
    assert network.unembedding[0] is network.embed_tokens.weight


def looks(network: Decoder, layer: int, length: int) -> Tensor:
    """Return the weights [H, S, S] with which the biases alone let the heads of `layer` read; head_dim is `length`."""
    heads = network.layers[layer].self_attn
    ids = tokens(length=length)
    q, k = (
        project.bias.view(-1, heads.head_dim)[None, :, None].expand(1, -1, length, heads.head_dim)
        for project in (heads.q_proj, heads.k_proj)
    )
    everyone = Places.of(places(ids))
    values = torch.eye(length).expand(k.shape)  # what is gathered from them are the weights
    return gathered(network.members[layer], everyone, None, q, lambda states: (q, k, values))[0]


@torch.no_grad()
def test_the_first_layers_heads_but_the_last_begin_by_looking_1_2_and_more_tokens_back():
    network = replace(BIASED, head_dim=64).build(Rope(10000.0), IntraDocument(), Softmax())
    weights = looks(network, 0, 64)
    for head in range(3):
        given_back = weights[head].diagonal(-(head + 1))[8:]
        assert ((given_back > 0.7) & (given_back < 0.9)).all()
    uniform = torch.ones(64, 64).tril() / torch.arange(1, 65)[:, None]
    torch.testing.assert_close(weights[3], uniform)
    torch.testing.assert_close(looks(network, 1, 64), uniform.expand(4, -1, -1))


def test_all_other_biases_begin_at_0():
    for geometry in (BIASED, VANILLA):
        for name, parameter in geometry.build(Rope(10000.0), IntraDocument(), Softmax()).named_parameters():
            if name.endswith(".bias"):
                looking = geometry is BIASED and name.startswith("layers.0.self_attn.") and "v_proj" not in name
                assert bool(parameter.any()) is looking, name


def test_fresh_weights_predict_every_token_alike():
    torch.manual_seed(0)
    network = replace(LLAMA, vocab_size=512).build(Rope(10000.0), IntraDocument(), Softmax())
    ids = tokens()
    logits = hidden(network, ids) @ network.unembedding[0].T
    loss = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:]).item()
    # Logits of variance 0.64 ** 2 cost half of it over ln 512.
    assert loss == pytest.approx(6.238 + 0.205, abs=0.1)
