"""Functions that torch's compiler must not look into: it takes two seconds to import, and most runs compile nothing."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Generic, ParamSpec, TypeVar

import torch

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Uncompiled(Generic[Arguments, Result]):
    """The function `call`, kept from the compiler once `hide` is called."""

    known: list["Uncompiled"] = []  # type: ignore[type-arg]  # noqa: RUF012 - one list for all

    def __init__(self, call: Callable[Arguments, Result]) -> None:
        self.call = call
        update_wrapper(self, call)
        self.known.append(self)

    def __call__(self, *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        """Return what the function returns."""
        return self.call(*arguments, **named)


def hide() -> None:
    """Keep the compiler, which is about to be used, from all these functions."""
    while Uncompiled.known:
        function = Uncompiled.known.pop()
        function.call = torch.compiler.disable(function.call)  # type: ignore[no-untyped-call]
