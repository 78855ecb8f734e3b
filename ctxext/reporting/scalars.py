"""Which numbers of a run become which tags of TensorBoard: about sixty at most, whatever was measured."""

from collections.abc import Iterator

from ctxext.reporting.measured import Measured, Row, method, subjects, tasks

# The hyperparameters of the run table. TensorBoard takes its columns from the first run that it meets, therefore every
# run writes all of them.
HYPERPARAMETERS = (
    *("name", "method", "seed", "context_length", "trained_length", "model", "base", "position", "mask", "attention"),
    *("dataset", "factor", "window", "sinks", "steps", "batch_tokens", "learning_rate"),
)
SHOWN_FIRST = ("method", "context_length", "factor", "steps", "seed")
TRAINING_KEYS = ("loss", "learning_rate", "grad_norm", "accuracy")
TARGET_TAGS = [
    *(f"target/{measure}/{subject}" for measure in ("nll", "passkey") for subject in ("method", "base", "truncated")),
    *(f"target/{measure}/method" for measure in ("tasks", "effective_length", "ms_per_token")),
]
BY_LENGTH = ("nll", "perplexity")
RULE = "effective_length "
"""What stands before a rule in the protocol, which has them in the order of the configuration: the first one counts."""
METHOD = "method"
"""What the subject that stands for the method is called, so that trained and untrained runs share tags."""
SCORES = 16
"""Tags that the scores of tasks and applications may take, of all subjects."""
FIRST = ("extended", "zero_shot", "base", "truncated")
"""The subjects in the order in which they get tags when there are not enough for all."""


def step_scalars(row: Row) -> dict[str, float]:
    """Return the scalars of a training step by tag."""
    scalars = {f"train/{key}": float(row[key]) for key in TRAINING_KEYS if key in row}
    scalars |= {key: float(value) for key, value in row.items() if "/" in key}
    if row.get("seconds"):
        scalars["train/tokens_per_second"] = row["tokens"] / row["seconds"]
        scalars |= {"train/waiting_share": row["waited"] / row["seconds"]} if "waited" in row else {}
    return scalars


def curves(results: Measured) -> dict[int, dict[str, float]]:
    """Return the scalars of `results` by tag for each length (of `by_position`: for each bucket's upper edge)."""
    found: dict[int, dict[str, float]] = {}
    for tag, length, value in points(results):
        found.setdefault(length, {})[tag] = float(value)
    return found


def points(results: Measured) -> Iterator[tuple[str, int, float]]:
    """Yield tag, length and value of everything that has a curve over length."""
    for subject in subjects(results):
        for measure in BY_LENGTH:
            for length, value, _, _ in results.curve(subject, measure):
                yield f"by_length/{measure}/{subject}", length, value
    yield from bounds(results)
    for row in results.by_position:
        yield f"by_position/nll/{row['subject']}", row["high_position"], row["nll"]
    for row in results.cost:
        if row["subject"] in (method(results), "base") and "ms_per_token" in row:
            yield f"by_length/ms_per_token/{row['subject']}", row["length"], row["ms_per_token"]
    yield from scores(results)


def bounds(results: Measured) -> Iterator[tuple[str, int, float]]:
    """Yield tag, length and value of the nll of the method and of what it must beat, and of their intervals' ends."""
    for name, subject in ((METHOD, method(results)), ("truncated", "truncated")):
        for length, value, low, high in results.curve(subject, "nll"):
            if low is not None and high is not None:
                ends = {"nll": value, "nll_low": low, "nll_high": high}
                yield from ((f"interval/{end}/{name}", length, number) for end, number in ends.items())


def scores(results: Measured) -> Iterator[tuple[str, int, float]]:
    """Yield tag, length and value of scores: of as many subjects as there are tags for, of the method in any case.

    Length 0, a task without filler, is no point of a curve over lengths.
    """
    named = [f"task/{task}" for task in tasks(results)]
    named += dict.fromkeys(application_tag(row) for row in results.applications)
    named = named[:SCORES]
    chosen = [subject for subject in FIRST if subject in subjects(results)][: max(1, SCORES // max(1, len(named)))]
    for row in results.tasks:
        tag = f"task/{row['task']}"
        if row["depth"] == "all" and row["length"] and row["subject"] in chosen and tag in named:
            yield f"{tag}/{row['subject']}", row["length"], row["value"]
    for row in results.applications:
        if application_tag(row) in named and row["subject"] in chosen and row["length"]:
            yield f"{application_tag(row)}/{row['subject']}", row["length"], row["value"]


def application_tag(row: Row) -> str:
    """Return the tag of a row of applications, without the subject."""
    words = (row["application"], row["group"], row["metric"])
    return "/".join(["application", *("_".join(str(word).split()) for word in words if word)])


def charts(results: Measured) -> dict[str, dict[str, str]]:
    """Return the custom scalars page: by category and title a pattern of tags; one with {} has a margin about it."""
    text = {
        "nll": "by_length/nll/.*",
        "nll with 95% intervals, of the method and truncated": "interval/nll{}/",
        "perplexity": "by_length/perplexity/.*",
        "nll by position": "by_position/nll/.*",
    }
    shown = sorted({tag.rpartition("/")[0] for tag, _, _ in scores(results)})
    scored = {tag.partition("/")[2]: f"{tag}/.*" for tag in shown}
    is_timed = any("ms_per_token" in row for row in results.cost)
    timed = {"prefill, ms a token": "by_length/ms_per_token/.*"} if is_timed else {}
    pages = {"text, by length": text, "scores, by length": scored, "cost, by length": timed}
    return {category: page for category, page in pages.items() if page}


def at_target(results: Measured) -> dict[str, float]:
    """Return the key results at the target length by tag, those of TARGET_TAGS that were measured.

    `method` is the subject that stands for it, so that trained and untrained runs share a column.
    """
    target, mine = results.lengths["target"], method(results)
    found: dict[str, float] = {}
    for subject in subjects(results):
        found |= {f"nll/{subject}": point[1] for point in results.curve(subject, "nll") if point[0] == target}
    totals = [row for row in results.tasks if row["depth"] == "all" and row["length"] == target]
    found |= {f"passkey/{row['subject']}": row["value"] for row in totals if row["task"] == "passkey"}
    values = [row["value"] for row in totals if row["subject"] == mine]
    found |= {f"tasks/{mine}": sum(values) / len(values)} if values else {}
    rules = [key.removeprefix(RULE) for key in results.protocol if key.startswith(f"{RULE}nll")]
    rules += [row["rule"] for row in results.effective_length if row["rule"].startswith("nll")]
    reached = [row for row in results.effective_length if row["rule"] in rules[:1]]
    found |= {f"effective_length/{row['subject']}": row["length"] for row in reached}
    times = [row for row in results.cost if row["length"] == target and "ms_per_token" in row]
    found |= {f"ms_per_token/{row['subject']}": row["ms_per_token"] for row in times}
    named = {f"target/{tag.replace(mine, METHOD) if mine else tag}": value for tag, value in found.items()}
    return {tag: float(named[tag]) for tag in TARGET_TAGS if tag in named}
