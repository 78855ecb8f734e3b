"""A whole training step against transformers': forward, loss, backward, clipping, AdamW, from the same weights.

The other side takes its own loss, SDPA, no cache, and the same fused AdamW over the same groups.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import chain
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import twins
from benchmarks.apart import apart, processor
from benchmarks.clock import alone, ceiling, in_turn, square_product
from benchmarks.findings import Part, Table, agree, middle, ratios
from benchmarks.scale import SCALES, Scale, Shape, name_of
from benchmarks.shares import shares
from benchmarks.shares import told as in_words
from omegaconf import OmegaConf
from torch.nn.utils import clip_grad_norm_

from ctxext.config.folders import option_file
from ctxext.data.rows import Batch
from ctxext.kernels.uncompiled import hide
from ctxext.model.cost import matrix_weights
from ctxext.model.geometry import DecoderGeometry
from ctxext.training.allocator import arranged
from ctxext.training.loop import accumulate_gradients
from ctxext.training.optimiser import make_optimiser
from ctxext.training.settings import Trainer

EAGER, COMPILED, THEIRS, PRODUCT = "ours, eager", "ours, compiled by block", "transformers, eager", "square product"
Step = Callable[[], float]


def measured(scale: Scale) -> Part:
    """Return the speed of each shape's step, eager and compiled, and its share of what the processor can do."""
    parts = [Part.of(apart("training.of_shape", name_of(scale), index)) for index in range(len(scale.shapes))]
    return Part(*(list(chain.from_iterable(lists)) for lists in zip(*map(contents, parts), strict=True)))


def contents(part: Part) -> tuple[list[Any], ...]:
    """Return the lists of `part`."""
    return part.findings, part.tables, part.remarks


def of_shape(scale: str, index: int) -> dict[str, Any]:
    """Return what steps of the shape at `index` take; torch must not have compiled others in this process."""
    alone()
    shape, found = SCALES[scale].shapes[index], Part()
    with TemporaryDirectory() as cold, arranged(settings(), processor()):  # for both sides alike
        os.environ |= {"TORCHINDUCTOR_CACHE_DIR": cold, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        run(shape, found)
    return found.as_dict()


def run(shape: Shape, found: Part) -> None:
    """Add to `found` what steps of `shape` take on each side, in turn."""
    rows, losses, steps = twins.batch(shape), dict[str, list[float]](), dict[str, Step]()
    steps[EAGER] = our_step(twins.ours(shape.geometry), rows)
    compiled = twins.ours(shape.geometry)
    compile_blocks(compiled)
    steps[COMPILED] = our_step(compiled, rows)
    steps[THEIRS] = their_step(twins.llama(compiled, shape.length), rows)
    first = {}
    for name, step in steps.items():
        before = time.perf_counter(), cpu()
        losses[name] = [step()]
        first[name] = time.perf_counter() - before[0], cpu() - before[1]
    same_course(shape, losses, 1e-5)
    sides: dict[str, Callable[[], object]] = {name: keeping(step, losses[name]) for name, step in steps.items()}
    times = in_turn(sides | {PRODUCT: square_product()}, shape.repetitions)
    same_course(shape, losses, 1e-3)
    told(shape, times, found, matrix_weights(compiled), first)
    for name in (EAGER, THEIRS):
        found.remarks.append(f"{shape.name}: a step of {name}: {in_words(shares(steps[name]))}")


def told(
    shape: Shape, times: dict[str, list[float]], found: Part, matrices: int, first: dict[str, tuple[float, float]]
) -> None:
    """Add to `found` what the `times` of steps of `shape` say; `first` are wall and CPU seconds of the first steps."""
    count, speeds = shape.rows * shape.length, ceiling(times[PRODUCT])
    needed = operations(shape.geometry, matrices, shape.length) * count
    shares = {name: ratios([needed / t for t in times[name]], speeds) for name in (EAGER, COMPILED, THEIRS)}
    found.add(f"train_{shape.name}_eager", ratios(times[THEIRS], times[EAGER]))
    found.add(f"train_{shape.name}_compiled", ratios(times[THEIRS], times[COMPILED]))
    found.add(f"mfu_{shape.name}", shares[COMPILED])
    lines = [
        [
            name,
            middle([count / t for t in times[name]], 1, 0),
            middle(times[name]),
            middle(share, 1, 2),
            told_first(first[name]),
        ]
        for name, share in shares.items()
    ]
    title = f"Training step, {shape.name}, {shape.rows} x {shape.length}"
    header = ["", "tokens a CPU second", "CPU ms", "utilisation", "first step, wall s / CPU s"]
    found.tables.append(Table(title, header, lines))
    found.remarks.append(f"{shape.name}: square product between the steps {middle(speeds, 1e9, 0)} GFLOP/s")


def told_first(times: tuple[float, float]) -> str:
    """Return how long a first step took, which compiles where it is to be."""
    return f"{times[0]:.1f} / {times[1]:.1f}"


def cpu() -> float:
    """Return the CPU seconds so far, those of the C++ compiler among them."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def operations(geometry: DecoderGeometry, matrices: int, length: int) -> float:
    """Return the operations that training needs for a token: 6 a weight, 12 a head's width for half of the text."""
    width = geometry.num_attention_heads * geometry.head_dim
    return 6 * matrices + 12 * geometry.num_hidden_layers * width * length / 2


def same_course(shape: Shape, losses: dict[str, list[float]], allowed: float) -> None:
    """Stop in words if the sides' losses part by more than the share that is `allowed`."""
    for name in (EAGER, COMPILED):
        apart = max(abs(a / b - 1) for a, b in zip(losses[name], losses[THEIRS], strict=True))
        agree(f"{shape.name}: the losses of {name} and {THEIRS}", apart, allowed)


def keeping(step: Step, losses: list[float]) -> Callable[[], object]:
    """Return `step`, whose loss is added to `losses`."""
    return lambda: losses.append(step())


def settings() -> Trainer:
    """Return the program's own settings of training, in float32."""
    chosen: Any = OmegaConf.to_container(OmegaConf.load(option_file("trainer", "default")), resolve=False)
    plain = {key: value for key, value in chosen.items() if not str(value).startswith("${")}
    return Trainer(**plain | {"precision": "fp32"})


def compile_blocks(network: Any) -> None:
    """Compile the blocks of `network`."""
    hide()
    for block in network.layers:
        block.compile()


def our_step(network: Any, rows: Batch) -> Step:
    """Return a step of `network` over `rows`, as the program's loop takes it."""
    network.train()
    chosen = settings()
    optimiser = make_optimiser(network, chosen)

    def step() -> float:
        loss = float(accumulate_gradients(network, rows, chosen))
        clip_grad_norm_(network.parameters(), chosen.max_grad_norm)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return loss

    return step


def their_step(network: Any, rows: Batch) -> Step:
    """Return the same step of a transformers `network`."""
    network.train()
    chosen = settings()
    optimiser = make_optimiser(network, chosen)

    def step() -> float:
        loss = network(rows.tokens, labels=rows.tokens).loss
        loss.backward()
        clip_grad_norm_(network.parameters(), chosen.max_grad_norm)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return float(loss.detach())

    return step
