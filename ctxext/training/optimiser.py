"""AdamW over a model's parameters, and the precision that they are multiplied in."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from ctxext.refusal import Refusal
from ctxext.training.settings import Trainer


def make_optimiser(model: nn.Module, settings: Trainer) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov and Hutter 2017, 1711.05101) for `model`; only matrices decay."""
    matrices = [parameter for parameter in model.parameters() if parameter.requires_grad and parameter.dim() >= 2]
    others = [parameter for parameter in model.parameters() if parameter.requires_grad and parameter.dim() < 2]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
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
