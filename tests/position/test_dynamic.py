"""Encodings that follow the length."""

import math
from dataclasses import replace

import pytest
import torch

from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry
from ctxext.places import Places
from ctxext.position.dynamic import DynamicYarn, RopeDynamicNtk
from ctxext.position.longrope import LongRope
from ctxext.position.rope import Rope, RopeNtk
from ctxext.refusal import Refusal

L = 16
NTK, YARN = RopeDynamicNtk(1e4, 4.0, L), DynamicYarn(1e4, L, 32.0, 1.0)
LONG = LongRope(1e4, 4.0, L, (1.0,) * 4, (1.0, 1.5, 3.0, 4.0), 1.1)
MEMBERS = [NTK, YARN, LONG]


def heads(length: int, width: int = 8) -> torch.Tensor:
    return torch.randn(1, 2, length, width, generator=torch.Generator().manual_seed(length))


def whole(length: int) -> Places:
    return Places.of(torch.arange(length)[None])


@pytest.mark.parametrize("member", [NTK, YARN])
@pytest.mark.parametrize(("length", "same"), [(1, True), (L - 1, True), (L, True), (L + 1, False), (4 * L, False)])
def test_up_to_the_trained_length_it_is_the_base_to_the_bit_and_beyond_it_is_not(member, length, same):
    turned = member.rotate(heads(length), whole(length))
    assert torch.equal(turned, Rope(1e4).rotate(heads(length), whole(length))) is same


@pytest.mark.parametrize("length", [17, 20, 64, 1000])
def test_the_whole_extension_s_factor_goes_into_the_formula_of_dynamic_ntk(length):
    theta = 1e4 * (4 * length / L - 3) ** (8 / 6)
    frequencies = [theta ** (-i / 4) for i in range(4)]
    assert NTK.at(length).frequencies(8).tolist() == pytest.approx(frequencies, rel=1e-6)
    assert NTK.at(4 * L) == RopeNtk(1e4, 4**2 - 4 + 1)


@pytest.mark.parametrize("length", [17, 24, 64, 160])
def test_dynamic_yarn_multiplies_heads_once_by_the_sharpness_of_the_length(length):
    turned = YARN.rotate(heads(length), whole(length))
    torch.testing.assert_close(turned.norm(dim=-1), (0.1 * math.log(length / L) + 1) * heads(length).norm(dim=-1))


@pytest.mark.parametrize("length", [24, 64])
def test_dynamic_yarn_interpolates_the_slowest_pair_by_the_length_s_own_factor(length):
    base = Rope(1e4).frequencies(8)
    found = YARN.at(length).frequencies(8)
    assert found[-1].item() == pytest.approx(base[-1].item() * L / length, rel=1e-6)
    assert found[0] == base[0]


@pytest.mark.parametrize("member", MEMBERS)
def test_each_document_of_a_packed_row_turns_as_if_alone(member):
    lengths = [5, 40, 16, 17, 40]
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    documents = torch.repeat_interleave(torch.arange(5), torch.tensor(lengths))[None]
    row = torch.randn(1, 2, sum(lengths), 8, generator=torch.Generator().manual_seed(0))
    packed = member.rotate(row, Places.of(positions, documents))
    for found, alone in zip(packed.split(lengths, dim=2), row.split(lengths, dim=2), strict=True):
        assert torch.equal(found, member.rotate(alone, whole(alone.shape[2])))


@pytest.mark.parametrize("member", MEMBERS)
def test_rows_of_a_batch_with_documents_of_other_lengths_turn_apart(member):
    documents = torch.tensor([[0] * 30, [0] * 10 + [1] * 20])
    positions = torch.stack([torch.arange(30), torch.cat([torch.arange(10), torch.arange(20)])])
    rows = torch.randn(2, 1, 30, 8, generator=torch.Generator().manual_seed(0))
    turned = member.rotate(rows, Places.of(positions, documents))
    assert torch.equal(turned[:1], member.rotate(rows[:1], whole(30)))
    assert torch.equal(turned[1:, :, :10], member.rotate(rows[1:, :, :10], whole(10)))


@torch.no_grad()
@pytest.mark.parametrize("member", MEMBERS)
def test_in_one_layer_what_is_fed_token_by_token_across_the_trained_length_equals_the_whole(member):
    geometry = DecoderGeometry(67, 24, 40, 1, 4, 2, 8, True, 1e-5)
    torch.manual_seed(0)
    network = geometry.build(member, IntraDocument(), Softmax())
    for parameter in network.parameters():
        parameter.normal_(std=0.3)
    ids = torch.randint(67, (1, 24), generator=torch.Generator().manual_seed(0))
    cache = network.new_cache()
    for start, stop in [(0, 9), *((at, at + 1) for at in range(9, 24))]:
        last = network.hidden(ids[:, start:stop], torch.arange(start, stop)[None], cache=cache)[:, -1]
        expected = network.hidden(ids[:, :stop], torch.arange(stop)[None])[:, -1]
        torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("member", MEMBERS)
def test_the_length_counts_tokens_and_not_positions(member):
    far = Places.of(torch.arange(1000, 1000 + L)[None])
    q, k = heads(L), heads(L).flip(2)
    scores = member.rotate(q, far) @ member.rotate(k, far).transpose(2, 3)
    near = member.rotate(q, whole(L)) @ member.rotate(k, whole(L)).transpose(2, 3)
    torch.testing.assert_close(scores, near, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("member", MEMBERS)
def test_it_states_its_base_that_the_past_changes_and_that_it_is_off_within_a_trained_length(member):
    assert member.base() == Rope(1e4)
    assert not member.keeps_prefix()
    off = member.off(50)
    assert torch.equal(off.rotate(heads(50), whole(50)), Rope(1e4).rotate(heads(50), whole(50)))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: replace(NTK, factor=0.5), "position.factor must be at least 1, got 0.5"),
        (
            lambda: replace(NTK, original_max_position_embeddings=0),
            "position.original_max_position_embeddings must be above 0, got 0",
        ),
        (
            lambda: replace(YARN, original_max_position_embeddings=-1),
            "position.original_max_position_embeddings must be above 0, got -1",
        ),
        (lambda: replace(YARN, beta_fast=1.0), "position.beta_fast must be above position.beta_slow"),
        (lambda: replace(YARN, beta_slow="x"), "position.beta_slow must be a number, got 'x'"),
        (lambda: NTK.at(17).frequencies(2), "NTK-aware scaling needs model.head_dim above 2, got 2"),
    ],
)
def test_settings_without_a_meaning_are_refused(make, sentence):
    with pytest.raises(Refusal) as refused:
        make()
    assert sentence in str(refused.value)
