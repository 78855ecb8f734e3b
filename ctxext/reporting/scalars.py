"""Which numbers of a run become which tags of TensorBoard."""

from ctxext.reporting.measured import Measured, Row, subjects, tasks

# The hyperparameters of the run table. TensorBoard takes its columns from the first run that it meets, therefore every
# run writes all of them.
HYPERPARAMETERS = (
    *("name", "method", "seed", "context_length", "trained_length", "model", "base", "position", "mask", "attention"),
    *("dataset", "factor", "window", "sinks", "steps", "batch_tokens", "learning_rate"),
)
TRAINING_KEYS = ("loss", "learning_rate", "grad_norm", "accuracy")
TARGET_TAGS = [
    *(f"target/{measure}/{subject}" for measure in ("nll", "passkey") for subject in ("base", "truncated", "extended")),
    "target/effective_length/extended",
]


def step_scalars(row: Row) -> dict[str, float]:
    """Return the scalars of a training step by tag."""
    scalars = {f"train/{key}": float(row[key]) for key in TRAINING_KEYS if key in row}
    scalars |= {key: float(value) for key, value in row.items() if "/" in key}
    if row.get("seconds"):
        scalars["train/tokens_per_second"] = row["tokens"] / row["seconds"]
    return scalars


def curves(results: Measured) -> dict[int, dict[str, float]]:
    """Return the scalars of `results` by tag for each length (of `by_position`: for each bucket's upper edge)."""
    found: dict[int, dict[str, float]] = {}
    for subject in subjects(results):
        for measure in ("perplexity", "nll", "bits_per_byte", "accuracy"):
            for length, value, _, _ in results.curve(subject, measure):
                found.setdefault(length, {})[f"by_length/{measure}/{subject}"] = value
        for task in tasks(results):
            for row in results.totals(task, subject):
                found.setdefault(row["length"], {})[f"{task}/{subject}"] = row["value"]
    for row in results.by_position:
        found.setdefault(row["high_position"], {})[f"by_position/nll/{row['subject']}"] = row["nll"]
    return found


def at_target(results: Measured) -> dict[str, float]:
    """Return the key results at the target length by tag, those of TARGET_TAGS that were measured."""
    target = results.lengths["target"]
    found: dict[str, float] = {}
    for subject in subjects(results):
        found |= {f"target/nll/{subject}": v for length, v, _, _ in results.curve(subject, "nll") if length == target}
        totals = results.totals("passkey", subject)
        found |= {f"target/passkey/{subject}": row["value"] for row in totals if row["length"] == target}
    for row in results.effective_length:
        if row["rule"].startswith("nll"):
            found[f"target/effective_length/{row['subject']}"] = row["length"]
    return {tag: float(found[tag]) for tag in TARGET_TAGS if tag in found}
