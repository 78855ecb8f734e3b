from dataclasses import replace

import pytest

from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry, LstmGeometry, VanillaGeometry
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal

LLAMA = DecoderGeometry(50, 24, 40, 2, 4, 2, 6, True, 1e-5)
VANILLA = VanillaGeometry(50, 24, 40, 2, 4, 1e-5)
LSTM = LstmGeometry(50, 8, 12, 1)


def parameters(geometry) -> int:
    network = geometry.build(Rope(10000.0), IntraDocument(), Softmax())
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_decoder_has_the_parameters_that_its_sizes_promise():
    attention, mlp, norms = 24 * 24 + 2 * 24 * 12 + 24 * 24, 3 * 24 * 40, 2 * 24
    assert parameters(LLAMA) == 50 * 24 + 2 * (attention + mlp + norms) + 24
    assert parameters(replace(LLAMA, tie_word_embeddings=False)) == parameters(LLAMA) + 50 * 24


def test_biases_of_attention_are_those_of_queries_keys_and_values_of_every_layer():
    biased = replace(LLAMA, attention_bias=True)
    assert parameters(biased) == parameters(LLAMA) + 2 * (24 + 12 + 12)
    names = {
        name for name in biased.build(Rope(10000.0), IntraDocument(), Softmax()).state_dict() if name.endswith("bias")
    }
    assert names == {f"layers.{layer}.self_attn.{part}_proj.bias" for layer in range(2) for part in "qkv"}
    with pytest.raises(Refusal, match=r"model\.attention_bias must be .*, got 'yes'"):
        replace(LLAMA, attention_bias="yes")


def test_the_vanilla_transformer_has_the_parameters_that_its_sizes_promise():
    attention, mlp, norms = 4 * (24 * 24 + 24), 24 * 40 + 40 + 40 * 24 + 24, 4 * 24
    assert parameters(VANILLA) == 50 * 24 + 2 * (attention + mlp + norms) + 2 * 24


@pytest.mark.parametrize("geometry", [LLAMA, VANILLA, LSTM])
def test_no_size_of_a_geometry_may_be_0_or_a_text(geometry):
    for name, value in vars(geometry).items():
        if type(value) is int:
            with pytest.raises(Refusal, match=rf"model\.{name} must be above 0, got 0"):
                replace(geometry, **{name: 0})
            with pytest.raises(Refusal, match=rf"model\.{name} must be a whole number, got 'many'"):
                replace(geometry, **{name: "many"})


@pytest.mark.parametrize(
    ("geometry", "change", "sentence"),
    [
        (LLAMA, {"num_key_value_heads": 3}, "must be a multiple of model.num_key_value_heads, got 4 and 3"),
        (LLAMA, {"head_dim": 7}, "model.head_dim must be even, since rotary pairs halve it, got 7"),
        (VANILLA, {"hidden_size": 20}, "must be a multiple of twice model.num_attention_heads, got 20 and 4"),
    ],
)
def test_sizes_that_do_not_fit_together_are_refused(geometry, change, sentence):
    with pytest.raises(Refusal) as refused:
        replace(geometry, **change)
    assert sentence in str(refused.value)
