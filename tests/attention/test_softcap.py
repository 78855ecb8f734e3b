import math

import pytest
import torch

from ctxext.attention.softcap import SoftCap
from ctxext.attention.softmax import Softmax
from ctxext.kernels import gather as kernel
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places
from ctxext.position.alibi import Alibi
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal
from ctxext.seams import Position

LENGTH, CAP = 25, 0.6
CAPPED = SoftCap(CAP)


def whole(length: int = LENGTH) -> torch.Tensor:
    return torch.arange(length)[:, None] - torch.arange(length)


def meant(logits, heads, visible, cap, bias=0.0):
    """Attend densely: the cap first, then what is added, then the mask."""
    scores = cap * torch.tanh(logits(heads, whole(heads.k.shape[2])) / cap) + bias
    weights = scores.masked_fill(~visible, float("-inf")).softmax(-1)
    return weights @ heads.v.repeat_interleave(2, dim=1)


@pytest.mark.parametrize("block", [7, 256])
@pytest.mark.parametrize("window", [LENGTH, 6])
def test_logits_are_capped_before_they_are_masked(window, block, drawn_heads, gathered, logits, agree, monkeypatch):
    monkeypatch.setattr(kernel, "BLOCK", block)
    heads = drawn_heads(LENGTH)
    mask = IntraDocument() if window == LENGTH else SlidingWindow(window)
    visible = (whole() >= 0) & (whole() < window)
    found = gathered(CAPPED, heads, mask=mask)
    agree(heads, found, meant(logits, heads, visible, CAP))
    plain = gathered(Softmax(), heads, mask=mask)
    assert (found - plain).abs().max() > 0.1
    torch.testing.assert_close(gathered(SoftCap(1e4), heads, mask=mask), plain, rtol=0, atol=1e-6)


def test_what_a_position_adds_is_not_capped(drawn_heads, gathered, logits):
    class Steep(Rope):
        def bias(self, queries, keys, num_heads):
            return -50.0 * (queries.columns[:, None] - keys.columns).float().expand(1, num_heads, -1, -1)

    heads = drawn_heads(LENGTH)
    found = gathered(CAPPED, heads, position=Steep(100.0))
    torch.testing.assert_close(found, meant(logits, heads, whole() >= 0, CAP, -50.0 * whole()), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found, heads.v.repeat_interleave(2, dim=1), rtol=1e-4, atol=1e-5)


def test_packed_documents_are_read_as_if_alone(drawn_heads, gathered, logits):
    heads = drawn_heads(LENGTH)
    documents = torch.repeat_interleave(torch.arange(3), torch.tensor([4, 14, 7]))[None]
    visible = (whole() >= 0) & (documents[0][:, None] == documents[0])
    torch.testing.assert_close(
        gathered(CAPPED, heads, documents), meant(logits, heads, visible, CAP), rtol=1e-4, atol=1e-5
    )


def test_the_last_queries_gather_from_cached_keys_what_they_gather_in_the_whole_row(
    drawn_heads, gathered, last_queries
):
    heads = drawn_heads(LENGTH)
    found = gathered(CAPPED, last_queries(heads, 3))
    torch.testing.assert_close(found, gathered(CAPPED, heads)[:, :, -3:], rtol=1e-4, atol=1e-5)


def test_large_logits_are_as_large_as_the_cap_and_no_larger():
    q, k = torch.full((1, 1, 2, 2), 100.0), torch.tensor([[[[100.0, 100.0], [-100.0, -100.0]]]])
    places = Places.of(torch.arange(2)[None])
    heads_v = torch.eye(2)[None, None]
    found = kernel.gather(q, k, heads_v, places, places, SoftCap(2.0).views(IntraDocument()), Position(), None)
    share = 1 / (1 + math.exp(-4))  # logits of 2 and of -2
    assert found[0, 0, 1].tolist() == pytest.approx([share, 1 - share], rel=1e-5)


def test_bfloat16_is_capped_in_single_precision(drawn_heads, gathered):
    heads = drawn_heads(LENGTH)
    parts = {name: getattr(heads, name).detach() for name in "qkv"}
    half, rounded = (
        type(heads)(*(part.bfloat16().to(dtype) for part in parts.values()), (), heads.x, heads.project)
        for dtype in (torch.bfloat16, torch.float32)
    )
    found = gathered(CAPPED, half, position=Alibi())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), gathered(CAPPED, rounded, position=Alibi()), rtol=0.02, atol=0.02)


def test_it_is_its_own_base_and_refuses_a_cap_that_bounds_nothing():
    assert (CAPPED.base(), CAPPED.off(10)) == (CAPPED, None)
    assert all(view.cap == CAP for view in CAPPED.views(IntraDocument()))
    with pytest.raises(Refusal, match=r"attention\.attn_logit_softcapping must be above 0, got 0; attention=softmax"):
        SoftCap(0)
    with pytest.raises(Refusal, match=r"attention\.attn_logit_softcapping must be a number, got 'much'"):
        SoftCap("much")  # type: ignore[arg-type]
