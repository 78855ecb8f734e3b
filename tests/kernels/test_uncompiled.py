"""What torch's compiler is kept from, once it is about to be used, and only then."""

import subprocess
import sys

import torch

from ctxext.kernels.uncompiled import Uncompiled, hide


def test_the_function_is_itself_hidden_or_not():
    @Uncompiled
    def doubled(x: torch.Tensor, times: int = 2) -> torch.Tensor:
        """Twice as much."""
        return x * times

    x = torch.ones(3)
    assert doubled.__doc__ == "Twice as much."
    assert torch.equal(doubled(x), 2 * x)
    hide()
    assert torch.equal(doubled(x, times=3), 3 * x)
    assert Uncompiled.known == []
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    assert torch.equal(torch.compile(lambda x: doubled(x + 1) - 1, backend=backend)(x), 3 * x)
    assert len(graphs) == 2  # before the call, and after it


def test_kernels_do_without_the_compiler():
    line = "import sys, ctxext.commands.generate, ctxext.commands.train; print('torch._dynamo' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"
