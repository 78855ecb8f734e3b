import math

import pytest
import torch

from ctxext.position.rope import Rope, RopeInterp, RopeNtk, Yarn
from ctxext.refusal import Refusal

S4 = 1.138629436111989  # YaRN's amplitude at factor 4
GOLDEN = {
    "rope": (Rope(1e4), 1, [1, 0.1, 0.01, 0.001, 0.000177828], 2.284657),
    "rope_interp": (RopeInterp(1e4, 4), 1, [0.25, 0.025, 0.0025, 0.00025, 4.4457e-05], 0.5711643),
    "rope_ntk": (RopeNtk(1e4, 4), 1, [1, 0.0690956, 0.00477421, 0.000329877, 4.4457e-05], 2.052074),
    "yarn": (Yarn(1e4, 4, 256, 32, 1, S4), S4, [1, 0.0571429, 0.0025, 0.00025, 4.4457e-05], 1.97587),
    "yarn 8/0.5": (Yarn(1e4, 4, 256, 8, 0.5, S4), S4, [1, 0.075, 0.0025, 0.00025, 4.4457e-05], 2.17245),
    "theta 500000": (Rope(5e5), 1, [1, 0.037606, 0.00141421, 5.3183e-05, 4.54167e-06], 1.78688),
}


@pytest.mark.parametrize(("encoding", "amplitude", "picked", "total"), GOLDEN.values(), ids=GOLDEN.keys())
def test_frequencies_have_the_golden_values(encoding, amplitude, picked, total):
    frequencies = encoding.frequencies(32)
    torch.testing.assert_close(
        frequencies[[0, 4, 8, 12, 15]], torch.tensor(picked, dtype=torch.float32), rtol=1e-5, atol=0
    )
    assert frequencies.sum().item() == pytest.approx(total, rel=1e-5)
    assert encoding.amplitude == amplitude


@pytest.mark.parametrize(
    ("factor", "length", "width"), [(4.0, 256, 32), (2.0, 2048, 128), (8.0, 64, 16), (3.0, 100, 64)]
)
@pytest.mark.parametrize("kind", ["linear", "yarn"])
def test_frequencies_are_those_of_transformers(kind, factor, length, width):
    transformers = pytest.importorskip("transformers")
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    parameters = {"rope_type": kind, "rope_theta": 10000.0, "factor": factor}
    if kind == "yarn":
        parameters["original_max_position_embeddings"] = length
    config = transformers.LlamaConfig(
        hidden_size=2 * width,
        num_attention_heads=2,
        max_position_embeddings=int(length * factor),
        rope_parameters=parameters,
    )
    meant, amplitude = ROPE_INIT_FUNCTIONS[kind](config, "cpu")
    yarn = Yarn(10000.0, factor, length, 32.0, 1.0, 0.1 * math.log(factor) + 1)
    ours = yarn if kind == "yarn" else RopeInterp(10000.0, factor)
    torch.testing.assert_close(ours.frequencies(width), meant, rtol=1e-5, atol=0)
    assert ours.amplitude == pytest.approx(amplitude)


def scaled(factor: float) -> list[Rope]:
    """Return each scaled encoding at `factor`."""
    return [RopeInterp(1e4, factor), RopeNtk(1e4, factor), Yarn(1e4, factor, 256, 32.0, 1.0, 1.0)]


def test_at_factor_1_frequencies_are_the_base_s_to_the_bit():
    for encoding in scaled(1.0):
        assert torch.equal(encoding.frequencies(64), Rope(1e4).frequencies(64))


def test_the_slowest_pair_is_slowed_by_the_factor_and_ntk_and_yarn_keep_the_fastest():
    base = Rope(1e4).frequencies(64)
    for encoding in scaled(8.0):
        torch.testing.assert_close(encoding.frequencies(64)[-1], base[-1] / 8)
    for encoding in scaled(8.0)[1:]:
        assert encoding.frequencies(64)[0] == base[0]


def test_interpolation_turns_to_a_position_as_rope_to_its_share():
    heads = torch.randn(1, 2, 5, 16, generator=torch.Generator().manual_seed(0))
    at, share = torch.tensor([[0, 4, 8, 100, 1024]]), torch.tensor([[0, 1, 2, 25, 256]])
    torch.testing.assert_close(RopeInterp(1e4, 4.0).rotate(heads, at), Rope(1e4).rotate(heads, share))


def test_the_amplitude_multiplies_queries_and_keys_and_so_the_logits_twice():
    heads, positions = torch.randn(1, 1, 3, 8), torch.arange(3)[None]
    loud, plain = Yarn(1e4, 4.0, 16, 32.0, 1.0, 1.5), Yarn(1e4, 4.0, 16, 32.0, 1.0, 1.0)
    torch.testing.assert_close(loud.rotate(heads, positions), 1.5 * plain.rotate(heads, positions))


def test_the_base_of_every_scaled_encoding_is_rope_with_its_theta():
    for encoding in [*scaled(4.0), Rope(1e4)]:
        assert encoding.base() == Rope(1e4)


def test_a_turned_score_depends_on_the_distance_only_up_to_position_100000():
    draw = torch.Generator().manual_seed(1)
    q, k = torch.randn(1, 1, 1, 64, generator=draw), torch.randn(1, 1, 1, 64, generator=draw)
    for encoding in scaled(4.0):
        scores = [
            (encoding.rotate(q, torch.tensor([[at + 9]])) * encoding.rotate(k, torch.tensor([[at]]))).sum().item()
            for at in (0, 1000, 100_000)
        ]
        assert scores == pytest.approx([scores[0]] * 3, abs=0.05)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Rope(1.0), "position.rope_theta must be above 1, got 1.0"),
        (lambda: Rope("much"), "position.rope_theta must be a number, got 'much'"),
        (lambda: RopeInterp(1e4, 0.5), "position.factor must be at least 1, got 0.5"),
        (lambda: RopeInterp(1e4, float("nan")), "position.factor must be at least 1, got nan"),
        (lambda: Yarn(1e4, 4.0, 0, 32.0, 1.0, 1.0), "position.original_max_position_embeddings must be above 0, got 0"),
        (lambda: Yarn(1e4, 4.0, 256, 1.0, 32.0, 1.0), "position.beta_fast must be above position.beta_slow"),
        (lambda: Yarn(1e4, 4.0, 256, 32.0, 1.0, 0.0), "position.attention_factor must be above 0, got 0.0"),
        (lambda: RopeNtk(1e4, 4.0).frequencies(2), "position=rope_ntk needs model.head_dim above 2, got 2"),
    ],
)
def test_settings_without_a_meaning_are_refused(make, sentence):
    with pytest.raises(Refusal) as refused:
        make()
    assert sentence in str(refused.value)
