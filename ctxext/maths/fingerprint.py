"""A short hash that tells weights and settings apart."""

from collections.abc import Mapping
from hashlib import blake2b

import torch
from torch import Tensor


def fingerprint(tensors: Mapping[str, Tensor], *settings: object) -> str:
    """Return a hash of `tensors` by name, and of the settings' representations."""
    state = blake2b(digest_size=12)
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        state.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        state.update(tensor.view(-1).view(torch.uint8).numpy().data)  # numpy knows no bfloat16
    for setting in settings:
        state.update(repr(setting).encode())
    return state.hexdigest()
