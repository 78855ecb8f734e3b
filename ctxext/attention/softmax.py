"""Softmax attention."""

from dataclasses import dataclass

from ctxext.seams import Attention


@dataclass(frozen=True)
class Softmax(Attention):
    """Scaled dot-product attention (Vaswani et al. 2017, 1706.03762)."""
