"""Time this program's parts against PyTorch's and transformers' own: one thread, process CPU time, both sides in turn.

python scripts/bench.py
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from ctxext.attention.softmax import Softmax
from ctxext.kernels.loss import fused_loss
from ctxext.kernels.norm import RmsNorm
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.rope import Rope
from ctxext.seams import Mask

GEOMETRY = DecoderGeometry(2048, 256, 704, 4, 4, 4, 64, True, 1e-5)
ROWS, LENGTH, REPETITIONS = 2, 1024, 5
Work = Callable[[], Tensor]


def median_ratio(ours: Work, theirs: Work) -> tuple[float, float, float]:
    """Return the median CPU milliseconds of `ours` and `theirs`, run in turn after a warm-up, and of their ratio."""
    ours(), theirs()
    pairs = [(timed(ours), timed(theirs)) for _ in range(REPETITIONS)]
    ratio = statistics.median(first / second for first, second in pairs)
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), ratio


def timed(work: Work) -> float:
    """Return the CPU milliseconds of one call of `work`."""
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1000


def our_step(network: Any, tokens: Tensor) -> Work:
    """Return one forward and backward pass of `network` over `tokens` [B, S + 1]."""
    positions = torch.arange(tokens.shape[1] - 1).expand(tokens.shape[0], -1)
    ones = torch.ones(tokens[:, 1:].numel())

    def work() -> Tensor:
        network.zero_grad()
        hidden = network.hidden(tokens[:, :-1], positions).flatten(0, 1)
        loss = fused_loss(hidden, network.unembedding, tokens[:, 1:].flatten(), ones)
        loss.backward()
        return loss.detach()

    return work


def their_step(network: Any, tokens: Tensor) -> Work:
    """Return the same pass of a transformers model with full logits."""

    def work() -> Tensor:
        network.zero_grad()
        logits = network(tokens[:, :-1]).logits
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        return loss.detach()

    return work


def twin(network: Any) -> Any:
    """Return transformers' Llama with the weights of `network`."""
    sizes = {key: value for key, value in vars(GEOMETRY).items() if key != "rms_norm_eps"}
    config = LlamaConfig(
        **sizes, rms_norm_eps=GEOMETRY.rms_norm_eps, max_position_embeddings=LENGTH, attn_implementation="sdpa"
    )
    other = LlamaForCausalLM(config)
    renamed = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    other.load_state_dict(renamed, strict=False)
    other.tie_weights()
    return other


def decoder(mask: Mask) -> Any:
    """Return the tiny decoder with `mask`, the same weights each time."""
    torch.manual_seed(0)
    return GEOMETRY.build(Rope(10000.0), mask, Softmax())


def norms() -> tuple[Work, Work]:
    """Return our RMSNorm and torch's, forward and backward over as many rows as a step has."""
    x = torch.randn(ROWS * LENGTH, GEOMETRY.hidden_size, requires_grad=True)
    norm = RmsNorm(GEOMETRY.hidden_size, 1e-5)

    def run(apply: Callable[[Tensor], Tensor]) -> Work:
        def work() -> Tensor:
            apply(x).sum().backward()
            return x.detach()

        return work

    return run(norm), run(lambda rows: functional.rms_norm(rows, (GEOMETRY.hidden_size,), norm.weight, 1e-5))


def main() -> None:
    """Print a row for each comparison, after checking that both sides of the first compute the same."""
    torch.set_num_threads(1)
    tokens = torch.randint(GEOMETRY.vocab_size, (ROWS, LENGTH + 1), generator=torch.Generator().manual_seed(0))
    dense = decoder(IntraDocument())
    other = twin(dense)
    difference = float((our_step(dense, tokens)() - their_step(other, tokens)()).abs())
    assert difference < 1e-5, f"the two models differ by {difference}"
    table = Table("what", "CPU ms", "against", "CPU ms", "ratio")
    comparisons = [
        (f"training step {ROWS} x {LENGTH}", "transformers, sdpa", our_step(dense, tokens), their_step(other, tokens)),
        (
            f"the same, window {LENGTH // 4}",
            "our dense step",
            our_step(decoder(SlidingWindow(LENGTH // 4)), tokens),
            our_step(dense, tokens),
        ),
        ("RMSNorm, both ways", "torch rms_norm", *norms()),
    ]
    for what, against, ours, theirs in comparisons:
        first, second, ratio = median_ratio(ours, theirs)
        table.add_row(what, f"{first:.1f}", against, f"{second:.1f}", f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
