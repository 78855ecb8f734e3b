"""One realistic set of results, as a run of the demo gives them: the base breaks, the method holds up to its target."""

import math

import pytest

from ctxext.evaluation.results import Results
from ctxext.maths.intervals import wilson

LENGTHS = [128, 256, 512, 1024, 2048]
PERPLEXITY = {
    "base": [24.1, 22.8, 61.02, 3200.0, 9800.0],
    "truncated": [24.1, 22.8, 22.71, 22.71, 22.71],
    "zero_shot": [31.52, 29.4, 29.95, 33.1],
    "extended": [24.61, 23.05, 22.4, 22.21, 27.9],
}
PASSKEY = {
    "base": [40, 39, 12, 4, 3],
    "truncated": [40, 39, 20, 10, 6],
    "zero_shot": [36, 32, 24, 16],
    "extended": [40, 40, 39, 38, 8],
}
OUT_OF_MEMORY = "out of memory at batch 1"


def length_rows(subject):
    for length, perplexity, base, truncated in zip(
        LENGTHS, PERPLEXITY[subject], PERPLEXITY["base"], PERPLEXITY["truncated"], strict=False
    ):
        nll = math.log(perplexity)
        row = {"subject": subject, "length": length, "nll": nll, "perplexity": perplexity, "accuracy": 0.4}
        row |= {"bits_per_byte": nll / 2.2, "tokens": 3840, "low": nll - 0.1, "high": nll + 0.12}
        for other, value in {"base": base, "truncated": truncated}.items():
            difference = nll - math.log(value)
            row |= {f"minus_{other}": difference}
            row |= {f"minus_{other}_low": difference - 0.012, f"minus_{other}_high": difference + 0.012}
        yield row


def position_rows(subject):
    for low, high, perplexity in zip([0, *LENGTHS], LENGTHS, PERPLEXITY[subject], strict=False):
        nll = math.log(perplexity)
        yield {"subject": subject, "low_position": low, "high_position": high, "nll": nll, "tokens": 9000}


def task_rows(subject):
    for length, right in zip(LENGTHS, PASSKEY[subject], strict=False):
        for depth, n in {0.0: 8, 0.25: 8, 0.5: 8, 0.75: 8, 1.0: 8, "all": 40}.items():
            successes = right * n // 40
            low, high = wilson(successes, n)
            row = {"subject": subject, "task": "passkey", "length": length, "depth": depth, "chance": 0.1, "n": n}
            yield row | {"metric": "rank of 10", "value": successes / n, "low": low, "high": high}


@pytest.fixture
def content():
    """The sections by name, to be changed at will."""
    return {
        "run": {
            "name": "rope_interp",
            "method": "rope_interp",
            "seed": 0,
            "command": "ctxext train +method=rope_interp",
        }
        | {"versions": {"torch": "2.13.0"}, "data": {"dataset": "sotu", "digest": "ab12"}},
        "lengths": {"trained": 256, "target": 1024, "evaluated": LENGTHS},
        "protocol": {
            "perplexity": "exp of the mean nll",
            "scored_tokens": 64,
            "documents": 60,
            "interval": "bootstrap",
        },
        "by_length": [row for subject in PERPLEXITY for row in length_rows(subject)],
        "by_position": [row for subject in ("base", "extended") for row in position_rows(subject)],
        "tasks": [row for subject in PASSKEY for row in task_rows(subject)],
        "effective_length": [
            {"subject": "base", "rule": "nll(0.05)", "length": 256, "at_least": False, "low": 256},
            {"subject": "truncated", "rule": "nll(0.05)", "length": 2048, "at_least": True, "low": 2048},
            {"subject": "extended", "rule": "nll(0.05)", "length": 1024, "at_least": False, "low": 512},
        ],
        "cost": [{"subject": "extended", "length": 1024, "ms_per_token": 0.21, "peak_bytes": 600_000_000}],
        "export": {"format": "hf", "label": "exact", "max_logit_difference": 1e-6},
        "missing": [
            {"subject": "zero_shot", "what": "by_length", "length": 2048, "reason": OUT_OF_MEMORY},
            {"subject": "zero_shot", "what": "passkey", "length": 2048, "reason": OUT_OF_MEMORY},
            {"subject": "zero_shot", "what": "effective_length nll(0.05)", "reason": "the nll at 256 is too high"},
        ],
    }


@pytest.fixture
def results(content):
    return Results(**content)


HOSTILE = "<script>document.title='broken'</script>|*&\"'`"
RUNS = {"A": ("rope_interp", 1.0), "B": (HOSTILE, 0.97)}
"""Two runs: the name of each, and its nll as a multiple of the first's."""


def value_row(measure, run, subject, values, width, **more):
    """A row of a comparison's table: `values` by length, each with an interval of `width` to either side."""
    found = {}
    for length, value in values.items():
        spread = width * (value if measure == "perplexity" else 1)
        low, high = max(0.0, value - spread), value + spread
        found[str(length)] = {"value": value, "low": low, "high": min(1.0, high) if value <= 1 else high, "n": 60}
    return {"run": run, "subject": subject, "values": found, "missing": {}} | more


def compared_tables(runs):
    curves = {subject: dict(zip(LENGTHS, values, strict=False)) for subject, values in PERPLEXITY.items()}
    rows = [value_row("perplexity", "", subject, curves[subject], 0.1) for subject in ("base", "truncated")]
    for label, (_, factor) in runs.items():
        zero = {length: value * factor for length, value in curves["zero_shot"].items()}
        rows.append(value_row("perplexity", label, "zero_shot", zero, 0.1, missing={"2048": OUT_OF_MEMORY}))
        mine = {length: value * factor for length, value in curves["extended"].items()}
        rows.append(value_row("perplexity", label, "extended", mine, 0.1))
    common = {"trained": 256, "targets": [1024]}
    note = "the same last 64 tokens of 60 documents at every length"
    yield {"measure": "perplexity", "title": "PERPLEXITY", "note": note, "lengths": LENGTHS, **common, "rows": rows} | {
        "lower_is_better": True
    }
    shares = {0: 40} | dict(zip(LENGTHS, PASSKEY["extended"], strict=True))
    scored = [
        value_row("passkey", label, "extended", {length: n / 40 * factor for length, n in shares.items()}, 0.1)
        for label, (_, factor) in runs.items()
    ]
    base = {0: 1.0} | {length: n / 40 for length, n in zip(LENGTHS, PASSKEY["base"], strict=True)}
    scored.insert(0, value_row("passkey", "", "base", base, 0.1))
    yield {"measure": "passkey", "title": "RETRIEVAL", "note": "rank of 10 (chance 0.10), n 40 a cell, 95% Wilson"} | {
        "lengths": [0, *LENGTHS],
        **common,
        "rows": scored,
        "lower_is_better": False,
        "chance": 0.1,
    }


def compared_differences(runs):
    first, *others = runs
    pairs = [(other, "extended", first, "extended") for other in others]
    pairs += [(label, "extended", label, "truncated") for label in runs]
    for one, subject, two, second in pairs:
        for index, length in enumerate(LENGTHS):
            value = [-0.011, -0.006, 0.004, -0.009, 0.206][index] * (1 if one == first else -1)
            p = [0.04, 0.3, 0.9, 0.004, 0.0001][index]
            row = {"measure": "nll", "first": one, "first_subject": subject, "second": two, "second_subject": second}
            yield (
                row
                | {"length": length, "difference": value, "low": value - 0.01, "high": value + 0.01}
                | {"p": p / 10, "p_holm": p, "pairs": 60}
            )


def compared(runs):
    """A comparison of `runs` with every part filled, missing numbers and a hostile name."""
    effective, cost = [], []
    for label in runs:
        found = {"run": label, "subject": "extended"}
        effective.append(found | {"rule": "nll(0.05)", "length": 1024, "at_least": False, "low": 512})
        effective.append(found | {"rule": "score(0.85)", "reason": "the base cannot do the task at its own length"})
        for length in LENGTHS:
            numbers = {"ms_per_token": 0.1 + length / 8000, "peak_bytes": 600_000_000, "parameters": 1_300_000}
            numbers |= {"decode_ms_per_token": 0.9, "flops_per_token": 3.1e6, "computed_flops_per_token": 4.2e6}
            numbers |= {"mask_density": 0.5, "cache_bytes_per_token": 2048.0, "exponent": 1.31, "r_squared": 0.992}
            cost.append(found | {"length": length} | numbers)
    effective[0] |= {"length": 2048, "at_least": True}
    named = [
        {"label": label, "name": name, "method": name, "path": f"outputs/{name}/2026-01-05_10-00-00", "seeds": [0]}
        | {"subjects": ["base", "truncated", "zero_shot", "extended"], "subject": "extended", "trained": 256}
        | {"target": 1024, "steps": 30, "trained_tokens": 122880, "export": {"format": "hf", "label": "exact"}}
        for label, (name, _) in runs.items()
    ]
    differ = [
        {"key": "position.factor", "values": dict.fromkeys(runs, 4.0) | {next(iter(runs)): 8.0}},
        {"key": "name", "values": {label: name for label, (name, _) in runs.items()}},
        {"key": "mask.window", "values": {next(iter(runs)): 128}},
    ]
    return {
        "runs": named,
        "same": ["base", "data", "tokenizer", "protocol"],
        "config": {"keys": 71, "differ": differ},
        "warnings": ["trained on 10.0M and 8.2M tokens: the budgets are not equal"],
        "tables": list(compared_tables(runs)),
        "differences": list(compared_differences(runs)),
        "effective_length": effective,
        "cost": cost,
        "export": [{"run": label, "format": "hf", "label": "exact"} for label in runs],
        "verdict": f"At 1024 {RUNS['B'][0]} is 0.009 nats better than rope_interp (p 0.004).",
        "missing": ["B zero_shot cost: this machine has no clock"],
    }


@pytest.fixture
def comparison():
    return compared(RUNS)


@pytest.fixture
def many():
    """A comparison of twelve runs of three seeds each."""
    made = compared({letter: (f"method_{letter}", 1 + index / 50) for index, letter in enumerate("ABCDEFGHIJKL")})
    for run in made["runs"]:
        run["seeds"] = [0, 1, 2]
    for table in made["tables"]:
        for row in table["rows"]:
            for value in row["values"].values():
                value |= {"sd": value["value"] / 40, "seeds": 3}
    return made
