"""`ctxext check` with a mesh or a GPU's type: what training would hold, send and take there; nothing is built."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ctxext.attention.softmax import Softmax
from ctxext.commands.extension import row_length
from ctxext.config.legality import notes
from ctxext.config.schema import Run
from ctxext.config.traits import chosen, grown
from ctxext.mask.document import IntraDocument
from ctxext.model import cost
from ctxext.model.geometry import DecoderGeometry
from ctxext.planning.duration import duration
from ctxext.planning.outline import FULL, Outline, Step, flops, outline
from ctxext.planning.residence import residence
from ctxext.planning.traffic import traffic
from ctxext.position.nope import Nope
from ctxext.refusal import require
from ctxext.reporting import plan as forms
from ctxext.reporting.journal import Journal

FILE = "plan.json"
HALF = 2
"""Bytes of a number in bfloat16, in which a GPU multiplies unless trainer.precision says otherwise."""


def is_planned(run: Run) -> bool:
    """Return whether `run` is checked for machines that aren't here: it names a mesh, or a GPU."""
    return run.hardware.is_known or run.parallel.size > 1


def plan(run: Run, folder: Path) -> None:
    """Show what training `run` on its mesh takes, by formulas alone, and keep it in `folder`."""
    known, step = outline_of(run), step_of(run)
    with Journal(folder, run.name) as journal:
        for note in notes(run):
            journal.say(note)
        held, sent = residence(known, step), traffic(known, step)
        found: dict[str, Any] = {
            "schema": 1,
            "mesh": asdict(run.parallel),
            "hardware": asdict(run.hardware) if run.hardware.is_known else None,
            "parameters": known.parameters,
            "rows": step.rows,
            "length": step.length,
            "memory": asdict(held) | {"total": held.total},
            "around": FULL * known.parameters + (held.weights if run.parallel.shard > 1 else 0.0),
            "sent": asdict(sent) | {"total": sent.total},
            "flops": flops(known, step),
        }
        if run.hardware.is_known and step.size == HALF:
            time = duration(known, step, sent, run.hardware)
            found["seconds"] = asdict(time) | {"least": time.least, "most": time.most}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        journal.table(forms.plan_table(found))
        journal.say(f"computed, not run; {folder / FILE}")


def step_of(run: Run) -> Step:
    """Return a step of `run`; refuse rows that its mesh can't share."""
    length, mesh = row_length(run), run.parallel
    rows = run.trainer.batch_tokens // length
    mesh.check_shares(rows, length, f"trainer.batch_tokens={run.trainer.batch_tokens}")
    is_full = run.trainer.precision == "fp32" or (run.trainer.precision == "auto" and not run.hardware.is_known)
    parts = min(run.trainer.accumulate, rows // mesh.replicas)  # as a batch is cut
    return Step(rows, length, parts, run.trainer.gradient_checkpointing, FULL if is_full else HALF, mesh)


def outline_of(run: Run) -> Outline:
    """Return the sizes of the network of `run`, whose weights are never there."""
    is_decoder = isinstance(run.model, DecoderGeometry)
    require(is_decoder, f"a plan knows decoders of the Llama family, got {chosen(run, 'model')}; drop the mesh")
    require(run.trainer.adapter == "none", f"a plan trains every weight, got trainer.adapter={run.trainer.adapter}")
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        network = run.model.build(Nope(), IntraDocument(), Softmax())
        network.fill(run.position, run.mask, run.attention)
    sizes, count = run.model.sizes, run.model.num_hidden_layers
    parts = [grown(run, getattr(run, slot)) for slot in ("position", "mask", "attention")]
    layers = [tuple(part.layer(index, count) for part in parts) for index in range(count)]
    members = [(run.model.position_of(index, position), *others) for index, (position, *others) in enumerate(layers)]
    counted = cost.counted_in_layers(members, row_length(run), sizes.head_dim, torch.device("cpu"))
    products = sizes.num_attention_heads * sum(layer.products for layer in counted)
    return outline(network, products, cost.matrix_weights(network))
