"""torch's private functions, taken only where they are there and have not changed."""

from collections.abc import Callable
from typing import Any

import torch


def operator(space: str, name: str, arguments: str) -> Callable[..., Any] | None:
    """Return the function of torch called `name` in `space` if there is one that takes just these `arguments`."""
    found = getattr(getattr(getattr(torch.ops, space), name, None), "default", None)
    known = found is not None and ", ".join(argument.name for argument in found._schema.arguments) == arguments
    return found if known else None
