"""What the numbers of a run say, in plain sentences: for the method, and against it."""

from ctxext.maths.multiple import FEWEST
from ctxext.reporting.measured import Measured, Point, Row, differences, method, tasks


def verdict(results: Measured) -> list[str]:
    """Return what the method costs, gains and loses against the base and against dropping the old text.

    What to beware of comes first, if the protocol holds it.
    """
    subject = method(results)
    cautions = [f"Caution: {results.protocol['caution']}."] if "caution" in results.protocol else []
    if not subject:
        return cautions
    sentences = [*cautions, *against_base(results, subject), *against_truncated(results, subject)]
    for task in tasks(results):
        sentences += on_task(results, subject, task)
    return sentences


def against_base(results: Measured, subject: str) -> list[str]:
    """Return a sentence on the nll beyond the trained length at the target, and one on its cost within it."""
    trained, target = results.lengths["trained"], results.lengths["target"]
    points = differences(results, subject, "base")
    sentences = [
        f"At {target}, {target / trained:g} times the trained length, the nll of {subject} is "
        f"{amount(point, 'lower', 'higher')} than that of base."
        for point in points
        if point[0] == target
    ]
    within = [point for point in points if point[0] <= trained]
    if within:
        worst = max(within, key=lambda point: point[1])
        price = (
            f"costs up to {worst[1]:.3f} nats"
            if worst[1] > 0
            else f"costs nothing, and gains {-worst[1]:.3f} nats or more"
        )
        sentences.append(f"At lengths up to {trained} it {price} (at {worst[0]}).")
    return sentences


def against_truncated(results: Measured, subject: str) -> list[str]:
    """Return at which lengths beyond the trained one `truncated` has the lower nll, and at which it does not."""
    trained = results.lengths["trained"]
    beyond = [point for point in differences(results, subject, "truncated") if point[0] > trained]
    few = not is_enough(results.protocol.get("documents", FEWEST))
    level = [point for point in beyond if few or undecided(point)]
    worse = [point for point in beyond if point[1] > 0 and point not in level]
    better = [point for point in beyond if point[1] <= 0 and point not in level]
    sentences = []
    if worse:
        sentences.append(
            f"truncated beats {subject} on nll at {listed(worse)}: on this text {subject} is worse there than dropping "
            f"the old text (by up to {max(point[1] for point in worse):.3f} nats)."
        )
    if better:
        sentences.append(
            f"{subject} beats truncated on nll at {listed(better)} (by up to {-min(p[1] for p in better):.3f} nats)."
        )
    if level:
        sentences.append(f"{subject} and truncated cannot be told apart on nll at {listed(level)} (paired interval).")
    return sentences


def on_task(results: Measured, subject: str, task: str) -> list[str]:
    """Return what `subject` scores in `task` at the target, and its paired gain on each control."""
    target = results.lengths["target"]
    mine = at(results.totals(task, subject), target)
    if not mine:
        return []
    sentence = f"On {task} at {target} {subject} scores {score(mine)}, chance {mine['chance']:.2f}"
    for other in ("base", "truncated"):
        row = at(results.totals(task, other), target)
        if row:
            sentence += f"; {other} {score(row)}{gain(mine, other, subject)}"
    return [sentence + ".", *without_filler(results, subject, task)]


def gain(mine: Row, other: str, subject: str) -> str:
    """Return what `subject` gains on the control `other` by pairs of the same samples, if the row `mine` holds it."""
    key = f"minus_{other}"
    if key not in mine:
        return ""
    low, high = mine[f"{key}_low"], mine[f"{key}_high"]
    apart = "" if is_enough(mine.get("n", 0)) and (low > 0 or high < 0) else ", which may be chance"
    return f", {mine[key]:+.2f} for {subject} (paired 95% {low:+.2f} to {high:+.2f}{apart})"


def is_enough(pairs: int) -> bool:
    """Return whether a paired test of so many pairs can tell anything at 5%."""
    return pairs >= FEWEST


def without_filler(results: Measured, subject: str, task: str) -> list[str]:
    """Return that `subject` can't do `task` even without filler, where that was measured and is so."""
    row = at(results.totals(task, subject), 0)
    if not row or row["low"] > row["chance"]:
        return []
    return [f"Without any filler {subject} scores {score(row)} on {task}: it can't do the task, whatever the length."]


def at(rows: list[Row], length: int) -> Row:
    """Return the row of `rows` at `length`, or an empty one."""
    return next((row for row in rows if row["length"] == length), {})


def score(row: Row) -> str:
    """Return a score with its interval."""
    return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def amount(point: Point, lower: str, higher: str) -> str:
    """Return the size of a difference in nats with its paired interval, and the word for its direction."""
    _, value, low, high = point
    bounds = (
        f" (95% of the paired difference {low:+.2f} to {high:+.2f})" if low is not None and high is not None else ""
    )
    return f"{abs(value):.2f} nats{bounds} {lower if value <= 0 else higher}"


def undecided(point: Point) -> bool:
    """Return whether the paired interval of a difference is known and includes 0."""
    _, _, low, high = point
    return low is not None and high is not None and low <= 0 <= high


def listed(points: list[Point]) -> str:
    """Return the lengths of `points` as words: `512, 1024 and 2048`."""
    *first, last = [str(point[0]) for point in points]
    return f"{', '.join(first)} and {last}" if first else last
