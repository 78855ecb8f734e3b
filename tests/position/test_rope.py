import pytest
import torch

from ctxext.places import Places
from ctxext.position.rope import Rope, RopeAbf, RopeByParts, RopeInterp, RopeNtk, Yarn
from ctxext.refusal import Refusal


def scaled(factor: float) -> list[Rope]:
    """Return each scaled encoding at `factor`."""
    parts = RopeByParts(1e4, factor, 256, 32.0, 1.0)
    return [RopeInterp(1e4, factor), RopeNtk(1e4, factor), parts, Yarn(1e4, factor, 256, 32.0, 1.0, 1.0)]


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
    torch.testing.assert_close(
        RopeInterp(1e4, 4.0).rotate(heads, Places.of(at)), Rope(1e4).rotate(heads, Places.of(share))
    )


def test_the_amplitude_multiplies_queries_and_keys_and_so_the_logits_twice():
    heads, places = torch.randn(1, 1, 3, 8), Places.of(torch.arange(3)[None])
    loud, plain = Yarn(1e4, 4.0, 16, 32.0, 1.0, 1.5), Yarn(1e4, 4.0, 16, 32.0, 1.0, 1.0)
    torch.testing.assert_close(loud.rotate(heads, places), 1.5 * plain.rotate(heads, places))


def test_by_parts_is_yarn_without_its_sharpness():
    parts, yarn = RopeByParts(1e4, 4.0, 256, 32.0, 1.0), Yarn(1e4, 4.0, 256, 32.0, 1.0, 1.5)
    assert torch.equal(parts.frequencies(64), yarn.frequencies(64))
    assert (parts.amplitude, yarn.amplitude) == (1, 1.5)


def test_an_adjusted_theta_takes_the_place_of_the_base_s():
    adjusted = RopeAbf(1e4, 5e5)
    assert torch.equal(adjusted.frequencies(64), Rope(5e5).frequencies(64))
    assert adjusted.base() == Rope(1e4)
    assert torch.equal(adjusted.off(16).frequencies(64), Rope(1e4).frequencies(64))


def test_the_base_of_every_scaled_encoding_is_rope_with_its_theta():
    for encoding in [*scaled(4.0), Rope(1e4)]:
        assert encoding.base() == Rope(1e4)


def test_a_turned_score_depends_on_the_distance_only_up_to_position_100000():
    draw = torch.Generator().manual_seed(1)
    q, k = torch.randn(1, 1, 1, 64, generator=draw), torch.randn(1, 1, 1, 64, generator=draw)
    for encoding in scaled(4.0):
        scores = [
            (
                encoding.rotate(q, Places.of(torch.tensor([[at + 9]])))
                * encoding.rotate(k, Places.of(torch.tensor([[at]])))
            )
            .sum()
            .item()
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
        (lambda: RopeByParts(1e4, 4.0, 256, 1.0, 1.0), "position.beta_fast must be above position.beta_slow"),
        (lambda: RopeAbf(1e4, 1.0), "position.adjusted_theta must be above 1, got 1.0"),
        (lambda: RopeNtk(1e4, 4.0).frequencies(2), "NTK-aware scaling needs model.head_dim above 2, got 2"),
    ],
)
def test_settings_without_a_meaning_are_refused(make, sentence):
    with pytest.raises(Refusal) as refused:
        make()
    assert sentence in str(refused.value)
