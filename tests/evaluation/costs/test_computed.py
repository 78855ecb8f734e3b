"""What kernels compute is told by their own account: dense ones count every pair, blocks of a window their slices."""

import pytest
import torch

from ctxext.attention.softmax import Softmax
from ctxext.evaluation.costs.computed import computed_flops
from ctxext.kernels.tiles import LEAST
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.cost import head_weights, matrix_weights
from ctxext.model.geometry import DecoderGeometry, Geometry, LstmGeometry
from ctxext.position.rope import Rope
from ctxext.seams import Mask

GEOMETRY = DecoderGeometry(67, 24, 40, 2, 4, 2, 8, tie_word_embeddings=True, rms_norm_eps=1e-5)
PAIR = 2 * 4 * 4 * 8
"""Operations of a pair, over 2 layers of 4 heads of 8."""


def passed(geometry: Geometry, mask: Mask, length: int) -> tuple[int, int]:
    """Return what a pass over `length` tokens computes, without the logits, and what its matrices take of that."""
    network = geometry.build(Rope(10000.0), mask, Softmax()).eval()
    tokens = torch.zeros(1, length, dtype=torch.int64)
    matrices = 2 * (matrix_weights(network) - head_weights(network)) * length
    with torch.inference_mode():
        return computed_flops(lambda: network.hidden(tokens, torch.arange(length)[None])), matrices


def test_a_dense_kernel_counts_with_all_pairs() -> None:
    found, matrices = passed(GEOMETRY, IntraDocument(), 300)
    assert found == matrices + PAIR * 300 * 300


@pytest.mark.parametrize("window", [10, 100])
def test_blocks_of_a_window_count_with_the_columns_that_they_reach(window: int) -> None:
    length = 600
    found, matrices = passed(GEOMETRY, SlidingWindow(window), length)

    block = max(LEAST, window // 2)
    sizes = [min(block, length - start) for start in range(window, length, block)]
    pairs = window**2 + sum(size * (size + window - 1) for size in sizes)
    assert found == pytest.approx(matrices + PAIR * pairs, rel=0.02)


def test_a_recurrent_network_computes_its_matrices_whatever_kernel_does_it() -> None:
    found, matrices = passed(LstmGeometry(67, 8, 12, 2), IntraDocument(), 30)
    assert found == matrices


def test_products_outside_are_not_counted() -> None:
    a = torch.rand(8, 8)
    a @ a
    assert computed_flops(lambda: a @ a) == 2 * 8**3
