"""`ctxext search`: LongRoPE's factors for one base and one length, searched on validation text and look-ups."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from ctxext.commands.columns import aligned
from ctxext.commands.device import device_of
from ctxext.commands.foundation import prepared, untouched
from ctxext.commands.interruption import leave_if_asked
from ctxext.commands.jobs import as_typed
from ctxext.config.legality import notes
from ctxext.config.schema import Run
from ctxext.config.traits import chosen
from ctxext.data.material import CorpusMaterial
from ctxext.data.prepare import Prepared
from ctxext.data.tokenizer import byte_lengths
from ctxext.evaluation.objective import Objective, unseen_prompts
from ctxext.evaluation.text.language import choose_windows, drawn_end
from ctxext.maths import rotary
from ctxext.maths.amplitude import yarn_attention_factor
from ctxext.maths.fingerprint import fingerprint
from ctxext.position.longrope import LongRope
from ctxext.refusal import require
from ctxext.reporting.journal import Journal
from ctxext.searching.evolution import Bounds, Candidate, Generation, evolve
from ctxext.searching.found import NAME, write_options
from ctxext.searching.trace import CANDIDATES, Trace
from ctxext.training.drift import check_identity
from ctxext.training.signals import Stop, listening

REPLACED = ("method", "position", "search", "name", "hydra")
"""What the option that was found takes the place of in the command line that uses it."""
YARN_TURNS = 32.0, 1.0
"""YaRN's beta_fast and beta_slow."""


def search(run: Run, folder: Path) -> None:
    """Search LongRoPE's long factors for the base of `run` at its context length; leave them in `folder` as options."""
    check(run)
    folder.mkdir(parents=True, exist_ok=True)
    device_of(run)
    with Journal(folder, run.name) as journal, listening(journal.say) as stop:
        for note in notes(run):
            journal.say(note)
        data = prepared(run, journal)
        objective = objective_of(run, data)
        base = untouched(run, data, journal, stop).eval()
        leave_if_asked(stop, journal, "search")
        quest = Quest(run, base, objective)
        best = pursue(quest, opened(quest, data, folder), journal, stop)
        conclude(quest, best, folder, journal)


def check(run: Run) -> None:
    """Refuse a `run` in which there is nothing to search."""
    position = run.position
    require(
        isinstance(position, LongRope),
        f"search finds the factors of position=longrope, and {chosen(run, 'position')} has none to find; drop it",
    )
    lengths = f"context_length={run.context_length}"
    trained = run.base.trained_length
    require(
        run.context_length > trained and position.factor > 1,
        f"{lengths} must be above base.trained_length={trained} and position.factor above 1, got"
        f" {position.factor:g}: up to the trained length there is nothing to extend",
    )
    factors, most = position.long_factor, 2 * position.factor
    require(
        factors[0] >= 1 and list(factors) == sorted(factors) and factors[-1] <= most,
        f"position.long_factor must rise, from at least 1 to at most {most:g}, twice position.factor, got {factors}",
    )
    scored = run.search.scored_tokens
    require(scored < run.context_length, f"search.scored_tokens must be below {lengths}, got {scored}")


def objective_of(run: Run, data: Prepared) -> Objective:
    """Return what candidates are scored on: documents of the validation split, and prompts that no evaluation asks."""
    length, settings = run.context_length, run.search
    sizes = byte_lengths(data.tokenizer)
    windows = choose_windows(data.validation, length, settings.documents, sizes, drawn_end, "context_length")
    if settings.objective == "text":
        return Objective(windows, settings.scored_tokens, [], run.evaluation.batch_tokens)
    prompts = unseen_prompts(run.seed, length, settings.prompts, CorpusMaterial(data.validation, data.tokenizer))
    return Objective(windows, settings.scored_tokens, prompts, run.evaluation.batch_tokens)


@dataclass(frozen=True)
class Quest:
    """The search of `run`: the untouched `base` that candidates read through, and the `objective` that scores them."""

    run: Run
    base: Any
    objective: Objective

    @property
    def yarn(self) -> Candidate:
        """What YaRN would take, from which the search starts."""
        position, width = self.run.position, 2 * len(self.run.position.long_factor)
        length = position.original_max_position_embeddings
        factors = rotary.yarn_factors(position.rope_theta, position.factor, width, length, *YARN_TURNS)
        return Candidate(tuple(factors), yarn_attention_factor(position.factor))

    @property
    def typed(self) -> Candidate:
        """What the run's own position takes, from which the search starts as well."""
        return Candidate(self.run.position.long_factor, float(self.run.position.attention_factor))

    def position(self, candidate: Candidate) -> LongRope:
        """Return the run's position with the factors of `candidate`."""
        factors, attention_factor = candidate.factors, candidate.attention_factor
        found: LongRope = replace(self.run.position, long_factor=factors, attention_factor=attention_factor)
        return found

    def measure(self, candidate: Candidate) -> dict[str, float]:
        """Return what search.objective asks of `candidate`: the nll of text, of look-ups, or both, in nats a token."""
        network = self.base.reading(self.position(candidate), self.run.mask, self.run.attention)
        kinds = {"text": self.objective.text, "lookup": self.objective.lookup}
        return {kind: nll(network) for kind, nll in kinds.items() if self.run.search.objective in (kind, "both")}


def opened(quest: Quest, data: Prepared, folder: Path) -> Trace:
    """Return the trace in `folder`; refuse one of another search, or remove it if trainer.resume is never."""
    run = quest.run
    if run.trainer.resume == "never":
        Trace.forget(folder)
    settings = {f"search.{key}": value for key, value in asdict(run.search).items() if key != "iterations"}
    members = {key: repr(getattr(run, key)) for key in ("model", "position", "mask", "attention")}
    texts = {"data": data.digest, "tokenizer": fingerprint({}, data.tokenizer.to_str())}
    base = {"base": fingerprint(quest.base.state_dict()), "context_length": run.context_length, "seed": run.seed}
    wanted = json.loads(json.dumps({**settings, **members, **texts, **base}))
    trace = Trace.open(folder, wanted)
    check_identity(trace.identity, wanted, folder / CANDIDATES)
    trace.begin()
    return trace


def pursue(quest: Quest, trace: Trace, journal: Journal, stop: Stop) -> Generation:
    """Return the last generation of the search of `quest`, which goes on from `trace` and leaves its own there."""
    settings = quest.run.search
    if trace.known:
        journal.say(f"going on: {len(trace.known)} candidates were scored before")

    def score(candidate: Candidate) -> float:
        if candidate not in trace.known:
            leave_if_asked(stop, journal, "search")
            measured = quest.measure(candidate)
            trace.keep(candidate, sum(measured.values()) / len(measured))
        return trace.known[candidate]

    bounds = Bounds.of(quest.run.position.factor, settings.step)
    generations = evolve([quest.yarn, quest.typed], bounds, settings, quest.run.seed, score)
    for generation in journal.watch(generations, "search", settings.iterations + 1):
        trace.end(generation)
    return generation


def conclude(quest: Quest, last: Generation, folder: Path, journal: Journal) -> None:
    """Write the best of the `last` generation as options into `folder`, and show it beside what YaRN would take."""
    run, position = quest.run, quest.position(last.best)
    kind = type(position)
    keys = {field.name: plain(getattr(position, field.name)) for field in fields(position)}
    weights = run.base.path or "a base from scratch"
    facts = {"base": weights, "trained": run.base.trained_length, "length": run.context_length}
    write_options(folder, f"{kind.__module__}.{kind.__qualname__}", keys, facts)
    rows = [row("yarn", quest, quest.yarn), row("found", quest, last.best)]
    journal.say(f"{last.candidates} candidates in {last.iteration + 1} generations, at {run.context_length} tokens")
    journal.say(aligned(list(rows[0]), [list(row.values()) for row in rows]))
    journal.say(f"{folder}: position/{NAME}.yaml, method/{NAME}.yaml, search.jsonl; what uses them:")
    words = as_typed(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    journal.say(f"  {using(words, folder)}")


def plain(value: object) -> object:
    """Return `value` as YAML has it."""
    return list(value) if isinstance(value, tuple) else value


def row(name: str, quest: Quest, candidate: Candidate) -> dict[str, str]:
    """Return the row of the table for `candidate`, called `name`, with a few of its factors, by column."""
    last = len(candidate.factors) - 1
    few = ", ".join(f"{candidate.factors[last * part // 5]:.2f}" for part in range(6))
    nlls = {f"nll of {kind}": f"{nll:.4f}" for kind, nll in quest.measure(candidate).items()}
    return {"validation": name, **nlls, "attention_factor": f"{candidate.attention_factor:.4f}", "long_factor": few}


def using(words: Sequence[str], folder: Path) -> str:
    """Return the command line that trains from what was found in `folder`, with what else the `words` chose."""
    kept = [word for word in words if re.split(r"[.=]", word.lstrip("+"))[0] not in REPLACED]
    return shlex.join(["ctxext", "train", f"+method={NAME}", *kept, "--config-dir", str(folder)])
