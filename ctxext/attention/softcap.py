"""Logits that are bounded smoothly."""

from dataclasses import dataclass, replace

from ctxext.attention.softmax import Softmax
from ctxext.refusal import check_types, require
from ctxext.seams import Mask, View


@dataclass(frozen=True)
class SoftCap(Softmax):
    """Soft-capped attention (Gemma 2, 2408.00118): logits z become c tanh(z / c), before biases and masks.

    c is `attn_logit_softcapping`. Weights are trained with it from the beginning.
    """

    attn_logit_softcapping: float

    def __post_init__(self) -> None:
        check_types(self, "attention")
        cap = self.attn_logit_softcapping
        require(cap > 0, f"attention.attn_logit_softcapping must be above 0, got {cap}; attention=softmax has none")

    def views(self, mask: Mask) -> tuple[View, ...]:
        return tuple(replace(view, cap=float(self.attn_logit_softcapping)) for view in mask.views())
