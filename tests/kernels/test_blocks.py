"""The plain form by blocks: as by one block, with nothing kept of the scores, whatever is added to the logits."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from ctxext.attention.softcap import SoftCap
from ctxext.kernels import blocks as kernel
from ctxext.kernels.gather import gather
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.places import Places, gaps
from ctxext.position.cope import Cope
from ctxext.seams import Position, Sizes

WIDTH = 8


class Learned(nn.Module, Position):
    """A bias that learns."""

    def __init__(self) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor([0.1, 0.2]))

    def bias(self, queries: Places, keys: Places, num_heads: int) -> Tensor:
        return -self.steepness[:, None, None] * gaps(queries, keys)


@dataclass(frozen=True)
class Case:
    position: Position
    capped: bool = False


CASES = {"learned": Case(Learned()), "capped": Case(Position(), capped=True), "cope": Case(Cope(10))}


def outputs(case: Case, mask, length: int, block: int, monkeypatch) -> tuple[Tensor, list[Tensor], int]:
    """Return outputs, all gradients, and how many numbers are kept for these."""
    monkeypatch.setattr(kernel, "BLOCK", block)
    torch.manual_seed(0)
    heads = [torch.randn(1, 2, length, WIDTH, requires_grad=True) for _ in range(3)]
    position = case.position.grown(Sizes(16, 1, 2, 2, WIDTH), None).layer(0, 1)
    rows, kept = Places.of(torch.arange(length)[None]), {}
    views = SoftCap(2.0).views(mask) if case.capped else mask.views()

    def pack(part: Tensor) -> Tensor:
        kept[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes() // part.element_size()
        return part

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda part: part):
        found = gather(*heads, rows, rows, views, position, None)
    learned = list(position.parameters()) if isinstance(position, nn.Module) else []
    return found, list(torch.autograd.grad(found.sin().sum(), [*heads, *learned])), sum(kept.values())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("mask", [IntraDocument(), Sinks(7, 2)], ids=repr)
def test_blocks_are_one_softmax_and_its_gradient(case, mask, monkeypatch):
    found, gradients, _ = outputs(CASES[case], mask, 50, 16, monkeypatch)
    meant, expected, _ = outputs(CASES[case], mask, 50, 64, monkeypatch)
    torch.testing.assert_close(found, meant)
    for gradient, whole in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_no_scores_are_kept_for_the_gradient(case, monkeypatch):
    _, _, kept = outputs(CASES[case], IntraDocument(), 400, 40, monkeypatch)
    assert kept < 400 * 400
