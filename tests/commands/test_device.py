"""Where a run computes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ctxext.commands.device import device_of
from ctxext.config.schema import Run
from ctxext.refusal import Refusal


def test_a_device_is_named_or_found(tiny: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[tuple[str, bool], Any] = {}
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        for word in ("auto", "cpu"):
            found[word, there] = device_of(tiny(f"device={word}")).type
    assert found == {("auto", True): "cuda", ("auto", False): "cpu", ("cpu", True): "cpu", ("cpu", False): "cpu"}
    with pytest.raises(Refusal, match="device=cuda:1: PyTorch finds no CUDA device here; use device=cpu"):
        device_of(tiny("device=cuda:1"))
