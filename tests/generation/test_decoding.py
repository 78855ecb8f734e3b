"""A text goes on through the cache as it would be read anew for each token."""

from itertools import islice

import pytest
import torch

from ctxext.attention.softmax import Softmax
from ctxext.generation import decoding
from ctxext.generation.decoding import Continuation, next_logits
from ctxext.generation.sampling import Sampling
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.model.geometry import DecoderGeometry, LstmGeometry
from ctxext.position.dynamic import RopeDynamicNtk
from ctxext.position.learned import Learned
from ctxext.position.rope import Rope

GREEDY = Sampling(0.0, 0, 1.0, 0)
GEOMETRY = DecoderGeometry(67, 24, 40, 2, 4, 2, 8, False, 1e-5)
PROMPT = torch.randint(67, (30,), generator=torch.Generator().manual_seed(2)).tolist()


def drawn(geometry, *members):
    """Return a network of `geometry` whose weights are large enough that every method shows."""
    torch.manual_seed(0)
    network = geometry.build(*(members or (Rope(10000.0), IntraDocument(), Softmax())))
    draw = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.data.normal_(mean=float(parameter.dim() < 2), std=0.3, generator=draw)
    return network.eval()


@torch.inference_mode()
def uncached(network, prompt: list[int], count: int) -> list[int]:
    """Return the greedy tokens after `prompt`, all before read anew for each."""
    ids = list(prompt)
    for _ in range(count):
        hidden = network.hidden(torch.tensor([ids]), torch.arange(len(ids))[None])
        ids.append(int(next_logits(network.unembedding, hidden[0, -1]).argmax()))
    return ids[len(prompt) :]


def test_cached_tokens_are_those_of_reading_anew(composition, monkeypatch):
    monkeypatch.setattr("ctxext.model.strip.ROOM", 1)
    monkeypatch.setattr(decoding, "CHUNK", 12)
    network = drawn(GEOMETRY, *composition[1:])
    # Where a longer text changes how its beginning is read, cached states are those of the shorter one.
    prompt, count = (PROMPT, 12) if decoding.keeps_prefix(network) else (PROMPT[:4], 8)
    found = list(islice(Continuation(network, prompt, GREEDY).tokens(), count))
    assert found == uncached(network, prompt, count)


def test_an_lstm_goes_on_from_its_state(monkeypatch):
    monkeypatch.setattr(decoding, "CHUNK", 12)
    network = drawn(LstmGeometry(67, 16, 24, 2))
    continuation = Continuation(network, PROMPT, GREEDY)
    assert list(islice(continuation.tokens(), 20)) == uncached(network, PROMPT, 20)
    assert continuation.cache.nbytes == 2 * 2 * 24 * 4


def test_a_table_of_positions_ends_the_text_when_it_is_full():
    network = drawn(GEOMETRY, Learned(40), IntraDocument(), Softmax())
    assert list(Continuation(network, PROMPT, GREEDY).tokens()) == uncached(network, PROMPT, 11)


def test_an_endless_stream_through_sinks_takes_no_more_memory(monkeypatch):
    network = drawn(GEOMETRY, Rope(10000.0), Sinks(12, 4), Softmax())
    continuation, sizes = Continuation(network, PROMPT * 20, GREEDY), []
    monkeypatch.setattr(decoding, "CHUNK", 64)
    for _ in islice(continuation.tokens(), 1000):
        sizes.append(continuation.cache.nbytes)
    assert continuation.read == 600 + 999
    assert len(set(sizes[200:])) == 1


def test_a_long_prompt_is_read_in_chunks_only_where_these_change_nothing(monkeypatch):
    monkeypatch.setattr(decoding, "CHUNK", 7)
    chunks: list[int] = []
    for position, expected in ((Rope(10000.0), [7, 7, 7, 7, 2]), (RopeDynamicNtk(10000.0, 4.0, 16), [30])):
        network = drawn(GEOMETRY, position, IntraDocument(), Softmax())
        hook = network.norm.register_forward_hook(lambda module, inputs, output: chunks.append(output.shape[1]))
        next(Continuation(network, PROMPT, GREEDY).tokens())
        hook.remove()
        assert chunks == expected
        chunks.clear()


def test_logits_are_the_unembedding_s_with_its_bias_and_its_cap():
    weight, bias, state = torch.randn(5, 3), torch.randn(5), torch.randn(3)
    plain = torch.tensor([float(row @ state) for row in weight])
    torch.testing.assert_close(next_logits((weight, bias, 2.0), state), 2.0 * torch.tanh((plain + bias) / 2.0))
    torch.testing.assert_close(next_logits((weight, bias, 0.0), state), plain + bias)
    torch.testing.assert_close(next_logits((weight, None, 0.0), state), plain)


@pytest.mark.parametrize("tied", [False, True])
def test_fifty_greedy_tokens_are_those_of_transformers(tied):
    transformers = pytest.importorskip("transformers")
    network = drawn(DecoderGeometry(67, 24, 40, 2, 4, 2, 8, tied, 1e-5))
    config = transformers.LlamaConfig(
        vocab_size=67, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, tie_word_embeddings=tied, rms_norm_eps=1e-5,
        eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    theirs = transformers.LlamaForCausalLM(config).eval()
    weights = {
        name if name == "lm_head.weight" else f"model.{name}": part for name, part in network.state_dict().items()
    }
    theirs.load_state_dict(weights | ({"lm_head.weight": network.embed_tokens.weight} if tied else {}))
    ids = torch.tensor([PROMPT])
    theirs.generation_config.eos_token_id = None  # else Llama's own 2 ends it
    generated = theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=50, do_sample=False)
    assert list(islice(Continuation(network, PROMPT, GREEDY).tokens(), 50)) == generated[0, 30:].tolist()
