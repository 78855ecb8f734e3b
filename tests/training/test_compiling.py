"""Blocks are compiled while a network is trained, or left as they are, in words; what is learnt is the same."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from ctxext.attention.softmax import Softmax
from ctxext.data.rows import Batch
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import DecoderGeometry, LstmGeometry
from ctxext.position.alibi import Alibi
from ctxext.position.rope import Rope
from ctxext.training.compiling import as_written, compiled
from ctxext.training.loop import accumulate_gradients
from ctxext.training.settings import Trainer

SETTINGS = Trainer(6, 256, 1, 0.02, 1.0, 0, 0.0, 0.9, 0.95, 1.0, 3, 9, "auto", "fp32", True)
GEOMETRY = DecoderGeometry(67, 24, 40, 10, 4, 2, 8, True, 1e-5)

MEMBERS: dict[str, Any] = {"plain": {}, "window": {"mask": SlidingWindow(8)}, "bias": {"position": Alibi()}}


def rows(length: int = 32) -> Batch:
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(67, (2, length), generator=draw)
    documents = (torch.arange(length) >= length // 2).long().expand(2, length)
    positions = torch.arange(length).expand(2, length)
    return Batch(tokens, tokens.roll(-1, 1), torch.ones(2, length), positions, documents, ["a", "b"])


def network(position: Any = None, mask: Any = None) -> Any:
    torch.manual_seed(0)
    return GEOMETRY.build(position or Rope(10000.0), mask or IntraDocument(), Softmax()).train()


def step(model: Any, settings: Trainer = SETTINGS) -> tuple[float, list[torch.Tensor]]:
    """The loss and the gradients of a step."""
    model.zero_grad(set_to_none=True)
    loss = float(accumulate_gradients(model, rows(), settings))
    return loss, [part.grad.clone() for part in model.parameters()]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What a compiler that writes nothing was given, so that no C++ compiler is needed: the size of each graph."""
    graphs: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: object) -> Any:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    original = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda block: original(block, backend=backend))
    torch._dynamo.reset()
    return graphs


@pytest.mark.parametrize("is_sparing", [False, True])
@pytest.mark.parametrize("members", MEMBERS.values(), ids=MEMBERS.keys())
def test_a_step_is_the_same_and_layers_share_what_was_compiled(
    members: dict[str, Any], is_sparing: bool, counted: list[int]
) -> None:
    model, said = network(**members), []
    model.gradient_checkpointing = is_sparing
    loss, gradients = step(model)
    with compiled(model, rows(), SETTINGS, said.append):
        assert all(part.grad is None for part in model.parameters())
        after = len(counted)
        found, others = step(model)
        assert len(counted) == after, "nothing is compiled in a step"

    assert said[0].startswith("10 blocks compiled in ")
    assert 0 < after < 10, "layers of one kind are compiled once"
    assert found == pytest.approx(loss, rel=1e-6)
    for gradient, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(other, gradient, rtol=1e-4, atol=1e-6)


def test_blocks_are_as_written_afterwards_and_in_probes(counted: list[int]) -> None:
    model = network()
    with compiled(model, rows(), SETTINGS, lambda sentence: None):
        before = len(counted)
        probed = as_written(lambda size: float(accumulate_gradients(model, rows(size), SETTINGS)))(48)
        assert len(counted) == before
    assert probed > 0
    assert all(block._compiled_call_impl is None for block in model.layers)
    step(model)
    assert len(counted) == before


def test_where_torch_cannot_compile_the_blocks_stay_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    model, said = network(), []
    loss, _ = step(model)

    def broken(graph: object, inputs: object) -> Any:
        raise RuntimeError("no C++ compiler\nin five lines more")

    original = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda block: original(block, backend=broken))
    torch._dynamo.reset()
    with compiled(model, rows(), SETTINGS, said.append):
        assert all(block._compiled_call_impl is None for block in model.layers)
        assert step(model)[0] == loss
    assert len(said) == 1
    assert said[0].startswith("the blocks are not compiled, since torch can't: ")
    assert "no C++ compiler" in said[0]
    assert "\n" not in said[0]


def test_a_network_without_blocks_is_left_as_it_is() -> None:
    said: list[str] = []
    model = LstmGeometry(67, 8, 12, 1).build(Rope(10000.0), IntraDocument(), Softmax())
    with compiled(model, dataclasses.replace(rows(), documents=None), SETTINGS, said.append):
        pass
    assert said == ["Lstm has no blocks to be compiled"]
