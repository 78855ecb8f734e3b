"""Where a run computes."""

import torch

from ctxext.config.schema import Run
from ctxext.refusal import require


def device_of(run: Run) -> torch.device:
    """Return the device that `run.device` names; auto is CUDA where there is one."""
    if run.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    require(
        run.device == "cpu" or torch.cuda.is_available(),
        f"device={run.device}: PyTorch finds no CUDA device here; use device=cpu",
    )
    return torch.device(run.device)
