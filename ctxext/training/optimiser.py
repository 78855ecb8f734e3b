"""AdamW over a model's parameters, and the precision that they are multiplied in."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from ctxext.refusal import Refusal
from ctxext.training.adapters import is_second
from ctxext.training.settings import Trainer

RATIO = "ratio"
"""The key of a group of parameters that says by how much faster than the others it learns."""


def make_optimiser(model: nn.Module, settings: Trainer) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov and Hutter 2017, 1711.05101) for `model`; only matrices decay.

    An adapter's second matrices have a group of their own, whose rate is higher by trainer.lora_plus_ratio.
    """
    trained = {name: part for name, part in model.named_parameters() if part.requires_grad}
    faster = [part for name, part in trained.items() if is_second(name)]
    matrices = [part for name, part in trained.items() if part.dim() >= 2 and not is_second(name)]
    others = [part for part in trained.values() if part.dim() < 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": settings.weight_decay, RATIO: 1.0},
        {"params": others, "weight_decay": 0.0, RATIO: 1.0},
    ]
    if faster:
        groups.append({"params": faster, "weight_decay": settings.weight_decay, RATIO: settings.lora_plus_ratio})
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), fused=True)


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the type in which `device` multiplies under `precision`: fp32, bf16, or auto (bf16 on CUDA, else fp32)."""
    wanted = ("bf16" if device.type == "cuda" else "fp32") if precision == "auto" else precision
    if wanted == "fp32":
        return torch.float32
    if device.type == "cpu" and not (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()):
        raise Refusal(
            "trainer.precision=bf16 is 5 to 9 times slower than fp32 on this processor, which has neither AMX nor "
            "AVX512-BF16; use fp32"
        )
    return torch.bfloat16


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which products on `device` are made in `dtype`; weights stay as they are."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)
