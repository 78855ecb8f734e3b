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
