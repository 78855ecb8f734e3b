"""Each body is held against its own in transformers: the same weights, the same logits."""

from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from ctxext.attention.softcap import SoftCap
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.mask.layered import Layered
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.families import Gemma2Geometry, Gemma3Geometry, Olmo2Geometry, Qwen3Geometry, Smollm3Geometry
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal
from ctxext.seams import Mask

# Grouped heads, wider in sum than the stream, of three pairs each.
SIZES: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 30,
    "intermediate_size": 44,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "tie_word_embeddings": False,
    "rms_norm_eps": 1e-3,
}
GEMMA: dict[str, Any] = SIZES | {"query_pre_attn_scalar": 11, "final_logit_softcapping": 3.0}
THETA, LOCAL, WINDOW, LENGTH = 10000.0, 300.0, 9, 40
QWEN3, OLMO2 = Qwen3Geometry(**SIZES), Olmo2Geometry(**SIZES)
SMOLLM3 = Smollm3Geometry(**SIZES, no_rope_layers=(1, 0, 1))
GEMMA2 = Gemma2Geometry(**GEMMA)
GEMMA3 = Gemma3Geometry(**GEMMA, rope_local_base_freq=LOCAL, local_layers=(1, 1, 0))
ALTERNATING, TWO_TO_ONE = Layered("SL", WINDOW, WINDOW, "constant"), Layered("SSL", WINDOW, WINDOW, "constant")
ROPE = {"rope_type": "default", "rope_theta": THETA}
TYPES = {"S": "sliding_attention", "L": "full_attention"}
QWEN3_WINDOWS = {"use_sliding_window": True, "sliding_window": WINDOW, "layer_types": [TYPES[i] for i in "SLS"]}
GEMMA_KEYS = {"sliding_window": WINDOW, "attn_implementation": "eager", "attn_logit_softcapping": 2.0}
BOTH = {"sliding_attention": ROPE | {"rope_theta": LOCAL}, "full_attention": ROPE}

BODIES = [
    ("Qwen3", QWEN3, IntraDocument(), {}),
    ("Qwen3", QWEN3, ALTERNATING, QWEN3_WINDOWS),
    ("Olmo2", OLMO2, IntraDocument(), {}),
    ("SmolLM3", SMOLLM3, IntraDocument(), {"no_rope_layers": [1, 0, 1]}),
    ("Gemma2", GEMMA2, ALTERNATING, GEMMA_KEYS | {"layer_types": [TYPES[i] for i in "SLS"]}),
    ("Gemma2", GEMMA2, SlidingWindow(WINDOW), GEMMA_KEYS | {"layer_types": [TYPES["S"]] * 3}),
    ("Gemma3", GEMMA3, TWO_TO_ONE, GEMMA_KEYS | {"layer_types": [TYPES[i] for i in "SSL"], "rope_parameters": BOTH}),
]
NAMES = ["qwen3", "qwen3-windows", "olmo2", "smollm3", "gemma2", "gemma2-windows", "gemma3"]
each_body = pytest.mark.parametrize(("family", "geometry", "mask", "keys"), BODIES, ids=NAMES)
ATTENTION = {"Gemma2": SoftCap(2.0)}


def theirs(family: str, geometry: DecoderGeometry, keys: dict[str, Any]) -> Any:
    """Return the model of transformers for `geometry`, its weights drawn large enough that every part shows."""
    transformers = pytest.importorskip("transformers")
    own = ("attention_bias", "no_rope_layers", "rope_local_base_freq", "local_layers")
    sizes = {field.name: getattr(geometry, field.name) for field in fields(geometry) if field.name not in own}
    # The class defaults would have special tokens beyond so few.
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    name = f"{family}Text" if family == "Gemma3" else family
    config = getattr(transformers, f"{name}Config")(**sizes, **special, **{"rope_parameters": ROPE} | keys)
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    draw = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data.normal_(mean=0.4 * (parameter.dim() < 2), std=0.3, generator=draw)
    return model


def ours(geometry: DecoderGeometry, mask: Mask, model: Any) -> Any:
    """Return the decoder of `geometry` with the weights of `model`, each by its name."""
    attention = ATTENTION.get(type(geometry).__name__.removesuffix("Geometry"), Softmax())
    network = geometry.build(Rope(THETA), mask, attention).eval()
    weights = {name.removeprefix("model."): part for name, part in model.state_dict().items()}
    if geometry.tie_word_embeddings:
        del weights["lm_head.weight"]
    network.load_state_dict(weights)
    return network


def tokens(rows: int = 2) -> Tensor:
    """Return random tokens [rows, LENGTH]."""
    return torch.randint(3, SIZES["vocab_size"], (rows, LENGTH), generator=torch.Generator().manual_seed(2))


def logits(network: Any, ids: Tensor, cache: Any = None, start: int = 0) -> Tensor:
    """Return the logits of single documents whose tokens before `start` are in the `cache`."""
    positions = torch.arange(start, start + ids.shape[1]).expand(ids.shape)
    found: Tensor = network.unembedding.logits(network.hidden(ids, positions, cache=cache))
    return found


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@each_body
@torch.no_grad()
def test_logits_are_those_of_transformers(family, geometry, mask, keys, tied):
    geometry = replace(geometry, tie_word_embeddings=tied)
    model = theirs(family, geometry, keys)
    found, meant = logits(ours(geometry, mask, model), tokens()), model(tokens()).logits
    assert meant.std() > 0.1
    torch.testing.assert_close(found, meant, rtol=1e-5, atol=1e-5 * max(float(meant.std()), 1))


@each_body
@torch.no_grad()
def test_reading_through_the_cache_is_reading_at_once(family, geometry, mask, keys):
    network, ids = ours(geometry, mask, theirs(family, geometry, keys)), tokens()
    cache, edges = network.new_cache(), [0, 5, WINDOW + 7, *range(WINDOW + 8, LENGTH + 1)]
    parts = [logits(network, ids[:, start:stop], cache, start) for start, stop in pairwise(edges)]
    torch.testing.assert_close(torch.cat(parts, dim=1), logits(network, ids), rtol=1e-4, atol=1e-4)


@each_body
def test_gradients_are_those_of_transformers(family, geometry, mask, keys):
    model, ids = theirs(family, geometry, keys), tokens()
    network = ours(geometry, mask, model)
    for one in (logits(network, ids), model(ids).logits):
        one.sin().sum().backward()
    own = dict(network.named_parameters())
    for name, parameter in model.named_parameters():
        meant, found = parameter.grad, own[name.removeprefix("model.")].grad
        torch.testing.assert_close(found, meant, rtol=1e-3, atol=1e-3 * float(meant.abs().max()), msg=name)


@torch.no_grad()
def test_gemma_rounds_its_norms_once_and_its_scale_first_in_bfloat16():
    model = theirs("Gemma2", GEMMA2, BODIES[4][3]).to(torch.bfloat16)
    network, ids = ours(GEMMA2, ALTERNATING, model).to(torch.bfloat16), tokens()
    x = GEMMA2.embed(network.embed_tokens(ids))
    assert torch.equal(x, model.model.embed_tokens(ids))
    assert torch.equal(network.layers[0].input_layernorm(x), model.model.layers[0].input_layernorm(x))
    olmo = theirs("Olmo2", OLMO2, {}).to(torch.bfloat16)
    norm = ours(OLMO2, IntraDocument(), olmo).to(torch.bfloat16).norm
    assert torch.equal(norm(x), olmo.model.norm(x))


def test_layers_without_positions_have_none_and_local_ones_their_own_rotation():
    def of(geometry: DecoderGeometry) -> list[Any]:
        return [members[0] for members in geometry.build(Rope(THETA), IntraDocument(), Softmax()).members]

    assert of(SMOLLM3) == [Rope(THETA), Nope(), Rope(THETA)]
    assert of(GEMMA3) == [Rope(LOCAL), Rope(LOCAL), Rope(THETA)]
    assert of(GEMMA2) == [Rope(THETA)] * 3


@pytest.mark.parametrize("geometry", [QWEN3, OLMO2, SMOLLM3, GEMMA2, GEMMA3], ids=lambda geometry: geometry.model_type)
@torch.no_grad()
def test_fresh_weights_predict_every_token_nearly_alike(geometry):
    torch.manual_seed(0)
    network = replace(geometry, tie_word_embeddings=True).build(Rope(THETA), IntraDocument(), Softmax())
    assert 0.3 < float(logits(network, tokens()).std()) < 1.2


@pytest.mark.parametrize(
    ("geometry", "change", "sentence"),
    [
        (QWEN3, {"attention_bias": True}, "model.attention_bias must be false, since qwen3 has no biases, got true"),
        (SMOLLM3, {"no_rope_layers": (1, 0)}, "model.no_rope_layers must have a 0 or a 1 for each of"),
        (SMOLLM3, {"no_rope_layers": (1, 2, 0)}, "model.num_hidden_layers=3, got [1, 2, 0]"),
        (SMOLLM3, {"no_rope_layers": ("a",) * 3}, "model.no_rope_layers must be a list, each a whole number"),
        (GEMMA2, {"query_pre_attn_scalar": 0.0}, "model.query_pre_attn_scalar must be above 0, got 0.0"),
        (GEMMA2, {"final_logit_softcapping": -1.0}, "model.final_logit_softcapping must be at least 0, which is none"),
        (GEMMA3, {"local_layers": (1, 1, 1, 1)}, "model.local_layers must have a 0 or a 1"),
        (GEMMA3, {"rope_local_base_freq": 1.0}, "model.rope_local_base_freq must be above 1, got 1.0"),
    ],
)
def test_numbers_that_no_body_has_are_refused(geometry, change, sentence):
    with pytest.raises(Refusal) as refused:
        replace(geometry, **change)
    assert sentence in str(refused.value)


def test_lists_of_layers_from_a_config_are_those_of_a_file():
    assert replace(SMOLLM3, no_rope_layers=[1, 0, 1]) == SMOLLM3
    assert hash(replace(GEMMA3, local_layers=[1, 1, 0])) == hash(GEMMA3)
