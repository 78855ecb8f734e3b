"""What a pass computes, as torch's own counter has it: a fused kernel counts with all pairs of what it is given.

Shapes: B rows, H heads, Q queries, K keys, D head width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ctxext.kernels.product import ONEDNN

Shape = tuple[int, ...]


def attention_flops(q: Shape, k: Shape, v: Shape, *others: Any, **named: Any) -> int:
    """Return the operations of attention with `q` [B, H, Q, D] over `k` and `v` [B, *, K, D], as for other devices."""
    rows, heads, queries, width = q
    return 2 * rows * heads * queries * k[2] * (width + v[3])


def recurrent_flops(inputs: Shape, of_input: Shape, of_state: Shape, *others: Any, **named: Any) -> int:
    """Return the operations of an LSTM's layer that multiplies `inputs` [*, *, W] by two matrices [4 W, W]."""
    rows, columns, _ = inputs
    return 2 * rows * columns * (of_input[0] * of_input[1] + of_state[0] * of_state[1])


def product_flops(x: Shape, weight: Shape, *others: Any, **named: Any) -> int:
    """Return the operations of multiplying `x` [..., I] by `weight` [O, I]."""
    return 2 * math.prod(x) * weight[0]


ON_CPU: dict[Any, Any] = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention_flops,
    torch.ops.aten.mkldnn_rnn_layer: recurrent_flops,
}
if ONEDNN is not None:
    ON_CPU[torch.ops.mkldnn._linear_pointwise] = product_flops
"""What torch doesn't count on a CPU."""


def computed_flops(action: Callable[[], object]) -> int:
    """Return the floating-point operations of all products in `action`."""
    # An LSTM's kernel on CUDA is one that isn't counted; the plain one does the same.
    with torch.backends.cudnn.flags(enabled=False), FlopCounterMode(display=False, custom_mapping=ON_CPU) as counter:
        action()
    return int(counter.get_total_flops())
