"""`ctxext check`: what the composition promises, shown on the network itself, without training."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from ctxext.commands.device import device_of
from ctxext.commands.extension import rows_of
from ctxext.commands.footprint import forecast_of, foretold, pace_of, timed
from ctxext.commands.foundation import base_members, prepared, read_base
from ctxext.commands.planning import is_planned, plan
from ctxext.config.legality import notes
from ctxext.config.schema import Run
from ctxext.data.prepare import Prepared
from ctxext.model import cost
from ctxext.proving.drawing import positions
from ctxext.proving.finding import Finding
from ctxext.proving.picture import CELLS, Picture, pictures
from ctxext.proving.specimen import Specimen, members_of, specimen
from ctxext.proving.suite import ALL, BRIEF, prove
from ctxext.reporting import proof
from ctxext.reporting.journal import Journal
from ctxext.training.adapters import attach

FILE = "check.json"
BRIEF_LENGTH = 64
"""Tokens read for what is shown before training."""
BRIEFLY = 1.5e10
"""Floating-point operations that reading one text may take there, where a method acts in longer texts only."""
QUOTED = 200
"""Characters of a document that are shown."""
SHOWN = 3
"""Documents of the first row that are shown."""


class Unproved(Exception):  # noqa: N818 - not an error of the program: the composition breaks a promise
    """A property that was promised doesn't hold."""


def check(run: Run, folder: Path) -> None:
    """Show the properties, the masks, the costs and the first training row of `run`; raise if a property fails.

    With a mesh or the type of a GPU it is planned for these instead.
    """
    if is_planned(run):
        plan(run, folder)
        return
    device_of(run)  # refused before anything slow
    with Journal(folder, run.name) as journal:
        for note in notes(run):
            journal.say(note)
        examined = specimen(foundation(run), members_of(run), run.base.trained_length, run.context_length)
        data = prepared(run, journal)
        findings = list(journal.watch(prove(examined), "Proving", len(ALL)))
        findings.append(positions(rows_of(run, data), rows_of(run, data)))
        journal.table(proof.proof_table(findings, grounds(run, examined)))
        masks = pictures(examined, run.context_length)
        scale = (
            f"{run.context_length} tokens, {max(run.context_length // CELLS, 1)} a letter; small letters: seen in part"
        )
        journal.table(proof.mask_pictures(masks, scale))
        costs = costs_of(run, examined)
        foretelling = trained_in(run, examined, data)  # first, since an adapter leaves most weights as they are
        lines = [*sums(examined), *foretelling]
        journal.table(proof.cost_table(costs, f"forward, what is needed; {in_training(examined)}", lines))
        save(folder / FILE, run, findings, masks, costs)
        journal.table(proof.first_row(*opening(run, data)))
        journal.say(f"{proof.summary(findings)}; {folder / FILE}")
    demand(findings)


def foundation(run: Run) -> Any:
    """Return the base of `run`, or a fresh network where it would be trained from scratch, on the run's device."""
    if run.base.path:
        return read_base(run).to(device_of(run))
    torch.manual_seed(run.seed)
    return run.model.build(*base_members(run)).to(device_of(run))


def grounds(run: Run, examined: Specimen) -> str:
    """Return on which weights and inputs the properties were shown."""
    weights = f"on the weights of {run.base.path}" if run.base.path else "on fresh weights"
    learned = "; what the method learns is moved at random" if len(getattr(examined.network, "learned", ())) else ""
    longest = max(map(examined.acting.length, examined.modes))
    more = f", and {longest:,} where it acts only there" if longest > examined.length else ""
    return f"{weights}{learned}; {examined.length} tokens at once{more}"


def in_training(examined: Specimen) -> str:
    """Return what a step of training costs beside reading."""
    if len(examined.modes) == 1:
        return "training takes thrice as many"
    return "training, where another form stands in, takes another number"


def costs_of(run: Run, examined: Specimen) -> list[dict[str, float | None]]:
    """Return what the network costs at each evaluated length."""
    network = examined.network
    with examined.training("training"):
        saved = {length: cost.saved_bytes(network, length) for length in measured_lengths(examined)}
    rows: list[dict[str, float | None]] = []
    for length in run.evaluation.lengths:
        kept = cost.extrapolated(length, saved)
        rows.append({"length": length, "mask_density": None, "activation_bytes": kept, **cost.counted(network, length)})
    return rows


def measured_lengths(examined: Specimen) -> tuple[int, int]:
    """Return two lengths at which activations are measured, where it can be beyond the trained one."""
    longest = examined.length
    shortest = max(longest // 2, 1) if longest <= examined.trained_length else (examined.trained_length + longest) // 2
    return shortest, longest


def sums(examined: Specimen) -> list[str]:
    """Return what the network weighs, in sentences."""
    network = examined.network
    weights, added = proof.in_bytes(cost.weight_bytes(network)), proof.in_bytes(cost.optimiser_bytes(network))
    return [f"{cost.parameter_count(network):,} parameters, {weights}; gradients and AdamW add {added} in training"]


def trained_in(run: Run, examined: Specimen, data: Prepared) -> list[str]:
    """Return the memory and the time that training would take, if `run` trains; its adapter is attached."""
    if run.trainer.steps == 0:
        return []
    attach(examined.network, run.trainer, run.seed)
    rows = rows_of(run, data)
    forecast, pace = forecast_of(examined.network, run, rows), pace_of(examined.network, run, rows)
    return [foretold(forecast), timed(pace, run.trainer.steps)]


def opening(run: Run, data: Prepared) -> tuple[list[tuple[str, str]], str]:
    """Return the documents of the first training row of `run`, each told and quoted, and what the row is."""
    batch = rows_of(run, data).batch(0, 1)
    documents = torch.zeros_like(batch.tokens[0]) if batch.documents is None else batch.documents[0]
    numbers = torch.unique(documents).tolist()
    lines = []
    for number in numbers[:SHOWN]:
        inside = (documents == number).nonzero()[:, 0]
        text = data.tokenizer.decode(batch.tokens[0, inside].tolist())[:QUOTED]
        columns, places = spans(inside.tolist()), spans(batch.positions[0, inside].tolist())
        lines.append((f"document {number}: columns {columns}, positions {places}", repr(text)[1:-1]))
    targets = int((batch.weights > 0).sum())
    counted = f"{len(numbers)} document{'s' * (len(numbers) > 1)}"
    return lines, f"{batch.samples[0]}: {batch.tokens.shape[1]} tokens of {counted}, {targets} of them targets"


def spans(numbers: Sequence[int]) -> str:
    """Return the rising `numbers` as at most three runs."""
    breaks = [index for index in range(1, len(numbers)) if numbers[index] != numbers[index - 1] + 1]
    edges = list(zip([0, *breaks], [*breaks, len(numbers)], strict=True))
    told = [f"{numbers[first]}-{numbers[last - 1]}" for first, last in edges[:3]]
    return ", ".join(told) + ", ..." * (len(edges) > 3)


def save(path: Path, run: Run, findings: Sequence[Finding], masks: Sequence[Picture], costs: Sequence[Any]) -> None:
    """Write what was shown of `run` into `path`; a number that isn't finite is absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    finite = [
        finding if finding.measured is None or math.isfinite(finding.measured) else replace(finding, measured=None)
        for finding in findings
    ]
    members = {slot: repr(getattr(run, slot)) for slot in ("model", "position", "mask", "attention")}
    shown = {
        "schema": 1,
        "run": {"name": run.name, "seed": run.seed, "base": run.base.path or "none", **members},
        "findings": [asdict(finding) for finding in finite],
        "masks": [asdict(mask) for mask in masks],
        "cost": list(costs),
    }
    path.write_text(json.dumps(shown, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def demand(findings: Sequence[Finding]) -> None:
    """Raise if one of `findings` is that a property doesn't hold."""
    failed = [f"{finding.name}: {finding.words}" for finding in findings if finding.holds is False]
    if failed:
        raise Unproved("; ".join(failed))


def prove_in_brief(base: Any, run: Run, journal: Journal) -> None:
    """Show on the weights of `base`, before training, what costs little; raise if it doesn't hold."""
    started = time.perf_counter()
    examined = specimen(base, members_of(run), run.base.trained_length, run.context_length)
    findings = list(prove(examined.shortened(BRIEF_LENGTH, BRIEFLY), BRIEF))
    demand(findings)
    seconds = time.perf_counter() - started
    journal.say(f"check  {'; '.join(in_brief(findings))} ({seconds:.1f} s; ctxext check shows the rest)")


def in_brief(findings: Sequence[Finding]) -> list[str]:
    """Return what `findings` before training are, none of which fails, in a few words."""
    held = [finding.name for finding in findings if finding.holds and finding.name != "effect"]
    told = [f"{' and '.join(held)} {'hold' if len(held) > 1 else 'holds'}"] if held else []
    effects = [finding.words for finding in findings if finding.name == "effect" and finding.holds]
    open_ones = {
        f"{finding.name} not shown: {finding.words}"
        for finding in findings
        if finding.holds is None and finding.name != "effect"
    }
    return [*told, *effects, *sorted(open_ones)]
