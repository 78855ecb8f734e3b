"""The fused loss is held against the plain one, weights and gradients included."""

import pytest

from ctxext.kernels.loss import CHUNK, fused_loss
from ctxext.proving import loss as module
from ctxext.proving.loss import loss


def test_a_loss_that_ignores_weights_fails_the_loss_alone(failing, monkeypatch):
    monkeypatch.setattr(
        module, "fused_loss", lambda hidden, head, targets, weights: fused_loss(hidden, head, targets, weights * 0 + 1)
    )
    assert failing() == {"loss"}


def test_a_loss_of_the_right_value_with_another_gradient_fails(examined, monkeypatch):
    def scaled(hidden, unembedding, targets, weights):  # type: ignore[no-untyped-def]
        value = fused_loss(hidden, unembedding, targets, weights)
        return value.detach() + 1.01 * (value - value.detach())

    monkeypatch.setattr(module, "fused_loss", scaled)
    found = loss(examined())
    assert (found.holds, found.measured) == (False, pytest.approx(0.05, rel=1))


def test_the_fused_loss_is_the_plain_one_over_more_than_a_chunk(examined):
    found = loss(examined())
    assert (found.holds, f"{CHUNK + 8} rows" in found.words) == (True, True)
    assert found.measured < 1e-5
