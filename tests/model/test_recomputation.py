"""Gradient checkpointing changes neither the loss nor a gradient, whatever fills the seams, and keeps less."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.model import cost
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope

GEOMETRY = DecoderGeometry(67, 24, 40, 3, 4, 2, 8, True, 1e-5)
LENGTH = 64
DOCUMENTS = torch.tensor([[0] * 40 + [1] * 24, [0] * 7 + [1] * 57])
POSITIONS = torch.cat([torch.cat([torch.arange(first), torch.arange(LENGTH - first)])[None] for first in (40, 7)])


def network(position: Any, mask: Any, attention: Any) -> Any:
    torch.manual_seed(0)
    built: Any = GEOMETRY.build(position, mask, attention)
    with torch.no_grad():
        for name, part in built.named_parameters():
            if name.startswith("learned."):
                part.add_(0.1 * torch.randn_like(part))  # parts that begin at 0 act
    return built.train()


def gradients(model: Any, documents: Tensor | None = DOCUMENTS) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad()
    tokens = torch.randint(67, (2, LENGTH), generator=torch.Generator().manual_seed(1))
    positions = torch.arange(LENGTH).expand(2, -1) if documents is None else POSITIONS
    loss = model.hidden(tokens, positions, documents).square().mean()
    if (penalty := model.penalty()) is not None:
        loss = loss + penalty
    loss.backward()
    return loss.detach(), {name: part.grad for name, part in model.named_parameters() if part.grad is not None}


@pytest.mark.parametrize("documents", [None, DOCUMENTS], ids=["whole", "packed"])
def test_loss_and_gradients_are_those_of_plain_training(composition: Any, documents: Tensor | None) -> None:
    model = network(*composition[1:])
    loss, plain = gradients(model, documents)
    model.gradient_checkpointing = True
    again, recomputed = gradients(model, documents)

    assert torch.equal(again, loss)
    assert recomputed.keys() == plain.keys()
    assert len(plain) > 10
    for name, gradient in plain.items():
        torch.testing.assert_close(recomputed[name], gradient, atol=1e-6 * float(gradient.abs().max()), rtol=1e-6)


def test_half_precision_is_recomputed_in_half_precision() -> None:
    model = network(Rope(10000.0), IntraDocument(), Softmax())
    with torch.autocast("cpu", torch.bfloat16):
        loss, plain = gradients(model)
        model.gradient_checkpointing = True
        again, recomputed = gradients(model)

    assert torch.equal(again, loss)
    assert all(torch.equal(recomputed[name], gradient) for name, gradient in plain.items())


def test_what_is_dropped_is_dropped_again() -> None:
    model = network(Rope(10000.0), IntraDocument(), Softmax())
    model.layers[1].mlp = nn.Sequential(model.layers[1].mlp, nn.Dropout(0.5))
    torch.manual_seed(3)
    _, plain = gradients(model)
    model.gradient_checkpointing = True
    torch.manual_seed(3)
    _, recomputed = gradients(model)

    assert all(torch.equal(recomputed[name], gradient) for name, gradient in plain.items())


def test_each_block_keeps_its_input_alone_in_training() -> None:
    model = network(Rope(10000.0), IntraDocument(), Softmax())
    plain, states = cost.saved_bytes(model, LENGTH), LENGTH * 24 * 4
    model.gradient_checkpointing = True
    kept, outside = cost.saved_bytes(model, LENGTH), cost.saved_bytes(cost.with_block(model, ()), LENGTH)

    assert outside + 3 * states <= kept <= outside + 3 * states + 1000  # and the state of a generator
    assert plain > 3 * kept
    assert cost.saved_bytes(model.eval(), LENGTH) == plain


def test_a_reading_of_the_network_recomputes_too() -> None:
    model = network(Rope(10000.0), IntraDocument(), Softmax())
    model.gradient_checkpointing = True
    assert model.reading(Rope(5000.0), IntraDocument(), Softmax()).recomputes
